# A program of Go with many goroutines and signals of its scheduler.
set -e
export RESTIC_REPOSITORY=$PWD/repository RESTIC_PASSWORD=secret HOME=$PWD
restic -q init
mkdir data
for i in $(seq 1 100); do seq 1 "$((i * 20))" >"data/$i"; done
restic -q backup data
restic -q backup data
restic -q check --read-data
restic snapshots --json | tr ',' '\n' | grep -c short_id
# Newer ones print a summary, also with -q.
restic -q restore latest --target out >/dev/null && diff -r data out/data && echo same
