# initdb, a server with its workers, four clients at once, and a fast shutdown.
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
export PGDATA=$PWD/data PGHOST=$PWD PGUSER=me PGDATABASE=postgres
initdb -U me -A trust --no-locale -E UTF8 --no-sync >initdb.log
pg_ctl -w -t 300 -s -o "-k $PWD -c listen_addresses='' -c fsync=off" -l server.log start
psql -qtA -c 'create table t(n int, s text)' -c "insert into t select i, md5(i::text) from generate_series(1, 20000) i"
for i in 1 2 3 4; do psql -qtA -c "update t set s = s || '$i' where n % 4 = $i - 1" & done
wait
psql -qtA -c 'create index on t(n)' -c 'set max_parallel_workers_per_gather = 2' -c 'select count(*), sum(length(s)) from t'
psql -qtA -c "copy (select 1) to program 'cat >$PWD/copied'" && cat copied
psql -qtA -c 'vacuum analyze t' && pg_dump -t t | grep -c '^[0-9]'
pg_ctl -w -t 300 -s -m fast stop && echo stopped
