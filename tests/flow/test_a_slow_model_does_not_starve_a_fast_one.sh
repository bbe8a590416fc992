# While a slow model has far more work than the window holds, jobs of a fast one are
# answered: they wait for a batch of the slow one, neither for all of its jobs nor for those
# that librdkafka has fetched ahead.
source tests/lib.sh

jobs=$(($(rows_per_s text) * 6 + 4000))
start_broker digits.{jobs:1,results:1,dead:1} text.{jobs:8,results:8,dead:1}
WORKER_EXTRA='threads = 1; window_jobs = 2048;'
write_config "$work/worker.conf" digits text
start_worker 1 "$work/worker.conf"

answered() { # MODEL: as the page in $work/page has it
    sed -n "s/^millrace_jobs_answered_total{model=\"$1\"} //p" "$work/page"
}
read_page() { curl -s -m 20 "${worker_http[1]}/metrics" >"$work/page"; }
fast_ones_are_answered() { read_page && [ "$(answered digits)" = 200 ]; }
has_a_backlog() { [ "$(metric 1 millrace_jobs_waiting)" -ge 128 ]; }

submit text "$jobs"
wait_until has_a_backlog
read_page
before=$(answered text)
submit digits 200
wait_until fast_ones_are_answered
after=$(answered text)
[ "$after" -lt $((jobs / 2)) ] || fail "200 fast jobs waited for $after slow ones of $jobs"
[ "$after" -gt "$before" ] || fail "the slow model stood still"
collect digits 200
collect text "$jobs"
metric_is 1 millrace_jobs_answered_total $((jobs + 200)) || fail "some were not answered, or twice"
metric_is 1 millrace_jobs_waiting 0 || fail "some wait for ever"
stop_worker 1
