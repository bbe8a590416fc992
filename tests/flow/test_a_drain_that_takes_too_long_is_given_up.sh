# With the broker frozen nothing in flight can be published: after worker.drain_timeout_s the
# worker ends all the same and says so, to be started again; until then it is not ready.
source tests/lib.sh

start_broker text.{jobs:1,results:1,dead:1}
WORKER_EXTRA="drain_timeout_s = 3;"
write_config "$work/worker.conf" text
start_worker 1 "$work/worker.conf"
submit text 2000
collect text 50 >"$work/begun.txt"
kill -STOP "$broker_pid"
kill -TERM "${worker_pid[1]}"
is_stopping() { [ "$(http_code 1 readyz)" = 503 ] && grep -q 'the worker is stopping' "$work/http.txt"; }
wait_until is_stopping
wait_until gone "${worker_pid[1]}"
status=0
wait "${worker_pid[1]}" || status=$?
[ "$status" -eq 1 ] || fail "exit code $status, not 1"
expect '"event":"drain_incomplete"' "$work/worker-1.log"
