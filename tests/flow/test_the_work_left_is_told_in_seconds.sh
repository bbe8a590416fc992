# While jobs wait, the worker tells how long it needs for them, more or less rightly; when
# all are answered, nothing is left.
source tests/lib.sh

page() { curl -s -m 20 "${worker_http[1]}/metrics"; }
seconds() { page | awk '$1 == "millrace_work_seconds" { print $2 }'; }
# All that was sent is behind, in the worker or answered, and there is something to tell.
is_known() {
    page >"$work/page" && told=$(awk -v sent="$count" '
        $1 == "millrace_consumer_lag_records" { lag = $2 }
        $1 ~ /^millrace_jobs_in_flight/ { seen += $2 }
        $1 == "millrace_results_published_total" { seen += $2 }
        $1 == "millrace_work_seconds" { left = $2 }
        END { print left; exit !(lag > 0 && lag + seen >= sent && left > 0.2) }' "$work/page")
}
is_done() { [ "$(seconds)" = 0.000000 ]; }

WORKER_EXTRA="threads = 1; window_jobs = 64;"
start_broker text.{jobs:8,results:8,dead:1}
write_config "$work/worker.conf" text
start_worker 1 "$work/worker.conf"
count=$(($(rows_per_s text) * 5))
submit text "$count" # they come faster than they can be computed
wait_until is_known
from=$EPOCHREALTIME
wait_until metric_is 1 millrace_results_published_total "$count"
took=$(awk -v a="$from" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
echo "told $told s, took $took s"
awk -v told="$told" -v took="$took" 'BEGIN { exit !(told < 4 * took + 1 && took < 4 * told + 1) }' ||
    fail "it told $told s and took $took s"
wait_until is_done
stop_worker 1
