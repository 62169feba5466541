# A server in the background with a child that saves; the client's own benchmark; a clean end.
set -e
redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" --save '' --ignore-warnings ARM64-COW-BUG >server.log 2>&1 &
server=$!
cli() { redis-cli -s redis.sock "$@"; }
for _ in $(seq 600); do cli ping >/dev/null 2>&1 && break; sleep 0.1; done
cli set key value
cli get key
cli eval 'local n = 0 for i = 1, 1000 do n = n + redis.call("INCR", "count") end return n' 0
redis-benchmark -s redis.sock -q -n 500 -c 5 -t set >/dev/null 2>&1 && echo benchmark
cli bgsave
for _ in $(seq 600); do [ "$(cli info persistence | grep -c 'rdb_bgsave_in_progress:0')" = 1 ] && break; sleep 0.1; done
cli info persistence | tr -d '\r' | grep rdb_last_bgsave_status
cli shutdown nosave || true
wait "$server" && echo ended
redis-check-rdb dump.rdb | grep -o 'RDB looks OK'
