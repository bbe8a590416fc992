# The broker stands still while a worker waits to be let into the group, for longer than the
# session: it then forgets the member without an answer, and reads nothing more of that
# connection. The worker must not wait for ever, but ask again.
source tests/lib.sh

start_broker digits.{jobs:2,results:2,dead:1}
write_config "$work/worker.conf" digits
sed -i 's/session_timeout_ms = 6000/session_timeout_ms = 4000; max_poll_interval_ms = 8000; debug = "cgrp"/' \
    "$work/worker.conf"
submit digits 20
launch_worker 1 "$work/worker.conf" --set log.level=debug
wait_until grep -q 'wait-metadata -> wait-join\|init -> wait-join' "$work/worker-1.log"
kill -STOP "$broker_pid"
read -rt 6 <> <(:) || true # the fault, not a wait for anything
kill -CONT "$broker_pid"
started=$SECONDS
collect digits 20
((SECONDS - started < 40)) || fail "it took $((SECONDS - started)) s to join"
stop_worker 1
