# With the broker frozen nothing in flight can be published; a second signal ends the wait.
source tests/lib.sh

start_broker text.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" text
start_worker 1 "$work/worker.conf"
submit text 2000
collect text 50 >"$work/begun.txt"
kill -STOP "$broker_pid"
kill -TERM "${worker_pid[1]}"
wait_until grep -q '"event":"stopping"' "$work/worker-1.log"
started=$SECONDS
kill -TERM "${worker_pid[1]}"
wait_until gone "${worker_pid[1]}"
((SECONDS - started <= 5)) || fail "it took $((SECONDS - started)) s"
status=0
wait "${worker_pid[1]}" || status=$?
[ "$status" -eq 1 ] || fail "exit code $status, not 1"
