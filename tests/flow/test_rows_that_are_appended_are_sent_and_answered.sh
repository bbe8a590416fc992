# submit --follow sends the rows that are appended to a file, each when its line has an end;
# collect --follow writes the answers; both end well by SIGTERM, and then the file is there.
source tests/lib.sh

start_broker twofold.jobs:2 twofold.results:2 twofold.dead:1
write_config "$work/worker.conf" twofold
start_worker 1 "$work/worker.conf"

echo 'a,b' >"$work/in.csv"
echo '1,2' >>"$work/in.csv"
"$millrace" submit --bootstrap "$bootstrap" --topic twofold.jobs --rows "$work/in.csv" --follow \
    --model-file tests/data/models/twofold.onnx --id-prefix row- --json >"$work/submit.json" \
    2>"$work/submit.log" &
submit_pid=$!
"$millrace" collect --bootstrap "$bootstrap" --topic twofold.results --follow --json \
    --answers "$work/out.jsonl" --save 0 >"$work/collect.json" 2>"$work/collect.log" &
collect_pid=$!
background+=("$submit_pid" "$collect_pid")

answers_are() { [ "$(grep -c . "$work/out.jsonl.millrace-part" 2>/dev/null)" = "$1" ]; }
wait_until answers_are 1
printf '3,4\n5,' >>"$work/in.csv"
wait_until answers_are 2
printf '6\n' >>"$work/in.csv"
wait_until answers_are 3
[ ! -e "$work/out.jsonl" ] || fail "the file is there before the end"

ends_well() { # PID
    local status=0
    kill -TERM "$1"
    wait_until gone "$1"
    wait "$1" || status=$?
    [ "$status" -eq 0 ] || fail "exit code $status: $(tail -n 3 "$work"/*.log)"
}
ends_well "$submit_pid"
ends_well "$collect_pid"
jq -e '.rows == 3 and .delivered == 3' "$work/submit.json" >/dev/null || fail "$(<"$work/submit.json")"
sort "$work/out.jsonl" | jq -c '[.id, .y]' >"$work/answers"
printf '%s\n' '["row-000000",[1,2]]' '["row-000001",[3,4]]' '["row-000002",[5,6]]' |
    cmp - "$work/answers" || fail "answers: $(<"$work/answers")"
stop_worker 1
