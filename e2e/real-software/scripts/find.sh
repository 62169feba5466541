# find that starts a program for each file, and one for many; xargs with four at a time.
set -e
mkdir -p tree/{1..3}/{1..8}
for folder in tree/*/*; do echo "$folder" >"$folder/file"; done
find tree -type f -exec cat {} \; | sort | sha256sum | cut -c 1-16
find tree -type f -exec wc -l {} + | tail -n 1 | tr -s ' '
find tree -type f -print0 | xargs -0 -n 1 -P 4 basename | sort | uniq -c | tr -s ' '
find tree -type d -name 7 -execdir rm -r {} + && find tree -type f | wc -l
