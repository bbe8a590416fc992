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

# script gives the worker a terminal of its own; the worker's first line tells its process.
script -qefc "echo \$\$ >$work/pid; exec $millrace worker --config $work/worker.conf" \
    "$work/terminal.txt" </dev/null >/dev/null &
terminal=$!
background+=("$terminal")
wait_until grep -q 'started' "$work/terminal.txt"
background+=("$(<"$work/pid")")
kill -TERM "$(<"$work/pid")"
wait_until gone "$terminal"
expect 'stopped' "$work/terminal.txt"
expect_not '"event"' "$work/terminal.txt"
