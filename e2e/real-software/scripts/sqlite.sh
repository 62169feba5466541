# Transactions by two writers at once, a shell within the shell, and a check of the whole.
set -e
sqlite3 db 'pragma journal_mode=wal; create table t(n integer primary key, s text);'
writer() { for i in $(seq 1 10); do sqlite3 -cmd '.timeout 60000' db "insert into t(s) values('$1 $i');"; done; }
writer a & writer b & wait
sqlite3 db "with recursive c(x) as (select 1 union all select x+1 from c where x<20000) insert into t(s) select hex(x) from c;"
sqlite3 db 'select count(*), sum(length(s)) from t; pragma integrity_check;'
sqlite3 db '.shell echo from sqlite'
