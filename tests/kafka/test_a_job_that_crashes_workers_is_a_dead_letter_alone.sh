# Two workers crash on one job again and again: it alone becomes a dead letter, and a reader
# of committed records finds every other id exactly once.
source tests/kafka/lib.sh

# Starts workers again that have crashed; true once the job was given up.
supervise() {
    local name
    for name in 1 2; do
        if gone "${worker_pid[$name]}"; then
            wait "${worker_pid[$name]}" 2>/dev/null || true
            crashes=$((crashes + 1))
            launch_worker "$name" "$work/worker.conf"
        fi
        if [ "$(metric "$name" millrace_records_condemned_total)" = 1 ]; then return 0; fi
    done
    return 1
}

make_topics digits.{jobs:4,results:4,dead:1}
write_config "$work/worker.conf" digits
submit digits 6000 --key id
crashes=0
export MILLRACE_FAIL_JOB=crash:digits-004321
launch_worker 1 "$work/worker.conf"
launch_worker 2 "$work/worker.conf"
wait_until supervise
echo "$crashes crashes"
read_topic "${prefix}digits.dead" 1 '%k %h\n' >"$work/dead"
expect 'digits-004321 ' "$work/dead"
expect 'millrace.stage=crash' "$work/dead"
collect digits 4321
collect digits 1678 --first 4322
"$millrace" collect --bootstrap "$bootstrap" --topic "${prefix}digits.results" \
    --id-prefix digits- --count 6000 --timeout 2 --json >"$work/collected" 2>&1 || true
expect '"answered":5999,"duplicates":0' "$work/collected"
stop_worker 1
stop_worker 2
