# Every line is JSON with time, level and event; a terminal gets text.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" digits
sed -i 's/format = "json"/level = "info"/' "$work/worker.conf"
start_worker 1 "$work/worker.conf"
submit digits 10
collect digits 10
stop_worker 1
jq -e 'has("time") and has("level") and has("event")' "$work/worker-1.log" >/dev/null ||
    fail "a line is no JSON, or lacks a field"

script -qec "$millrace worker --config $work/worker.conf --set routes=1" \
    "$work/terminal.txt" >/dev/null </dev/null || true
script -qec "timeout -s TERM 3 $millrace worker --config $work/worker.conf" \
    "$work/terminal.txt" >/dev/null </dev/null || true
expect 'starting' "$work/terminal.txt"
expect_not '"event"' "$work/terminal.txt"
