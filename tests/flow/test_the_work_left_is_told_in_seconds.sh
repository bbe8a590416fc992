# While jobs wait, the worker tells how long it needs for them, more or less rightly; when
# all are answered, nothing is left.
source tests/lib.sh

seconds() { curl -s -m 20 "${worker_http[1]}/metrics" | awk '$1 == "millrace_work_seconds" { print $2 }'; }
is_told() { [[ $(seconds) =~ ^[0-9.]+$ ]] && awk -v s="$(seconds)" 'BEGIN { exit !(s > 0.2) }'; }
is_done() { [ "$(seconds)" = 0.000000 ]; }

WORKER_EXTRA="threads = 1; window_jobs = 512;"
start_broker text.{jobs:8,results:8,dead:1}
write_config "$work/worker.conf" text
start_worker 1 "$work/worker.conf"
count=$(($(rows_per_s text) * 5))
submit text "$count" # they come faster than they can be computed
wait_until is_told
told=$(seconds)
from=$EPOCHREALTIME
wait_until metric_is 1 millrace_results_published_total "$count"
took=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
echo "told $told s, took $took s"
awk -v told="$told" -v took="$took" 'BEGIN { exit !(told < 4 * took + 1 && took < 4 * told + 1) }' ||
    fail "it told $told s and took $took s"
wait_until is_done
stop_worker 1
