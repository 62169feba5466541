# Pipes, process substitution, a coprocess, traps, and jobs that are stopped and go on.
set -m
seq 1 1000 | grep 7 | sort -rn | head -3 | paste -sd ' '
diff <(printf 'a\nb\n') <(printf 'a\nc\n') | tail -n 3
coproc copy { cat; }
echo through >&"${copy[1]}"
read -r line <&"${copy[0]}" && echo "$line"
eval "exec ${copy[1]}>&-"
wait
trap 'echo trapped' USR1
bash -c 'kill -USR1 $PPID'
sleep 60 &
sleeper=$!
kill -STOP %%
until jobs %% | grep -q Stopped; do sleep 0.1; done
echo stopped
kill -CONT %%
until jobs %% | grep -q Running; do sleep 0.1; done
kill %%
wait "$sleeper"
echo "ended with $?"
(exit 7) | cat
echo "${PIPESTATUS[@]}"
exec -a other bash -c 'echo "$0" ${BASH_VERSINFO[5]%%-*}' other
