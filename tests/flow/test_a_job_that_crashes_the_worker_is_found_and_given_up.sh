# A job that ends the process is found alone after a few restarts and becomes a dead letter;
# every job around it is answered.
source tests/lib.sh

# Starts the worker again whenever it has crashed, as a supervisor would.
supervise() {
    while gone "${worker_pid[1]}"; do
        wait "${worker_pid[1]}" 2>/dev/null || true
        crashes=$((crashes + 1))
        launch_worker 1 "$work/worker.conf"
    done
    curl -s -m 5 "${worker_http[1]}/metrics" >"$work/page" || return 1
    grep -q '^millrace_records_condemned_total 1' "$work/page"
}

start_broker digits.{jobs:2,results:2,dead:1}
ROUTE_EXTRA='retry_delays = "";'
write_config "$work/worker.conf" digits
submit digits 600 --key id
crashes=0
export MILLRACE_FAIL_JOB=crash:digits-000333
launch_worker 1 "$work/worker.conf"
wait_until supervise
[ "$crashes" -eq 5 ] || [ "$crashes" -eq 6 ] || fail "it took $crashes crashes"
read_topic digits.dead 1 '%k %h\n' >"$work/dead"
expect 'digits-000333 ' "$work/dead"
expect 'millrace.stage=crash' "$work/dead"
expect "ended $crashes times without notice" "$work/dead"
# At least once, so some are answered twice; but all are there.
wait_until metric_is 1 millrace_consumer_lag_records 0
wait_until metric_is 1 millrace_jobs_in_flight 0
read_topic digits.results 599 '' >/dev/null
"$millrace" collect --bootstrap "$bootstrap" --topic digits.results --id-prefix digits- \
    --count 600 --timeout 2 --settle 0.2 --json >"$work/collected" 2>&1 || true
expect '"answered":599,' "$work/collected"
stop_worker 1
