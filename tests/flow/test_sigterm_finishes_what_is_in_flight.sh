# SIGTERM in the middle of work: what was taken is answered and committed, nothing more is
# taken, and the next worker goes on behind it, so that nothing is lost and nothing comes
# twice.
source tests/lib.sh

jobs=$(($(rows_per_s text) * 4 + 400))
# Sanitizers are slow.
WORKER_EXTRA="threads = 1; drain_timeout_s = 300; window_jobs = $((jobs / 4));"
start_broker text.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" text
start_worker 1 "$work/worker.conf"
submit text "$jobs"
is_at_work() {
    curl -s -m 20 "${worker_http[1]}/metrics" >"$work/page"
    published=$(sed -n 's/^millrace_results_published_total //p' "$work/page")
    in_flight=$(sed -n 's/^millrace_jobs_in_flight //p' "$work/page")
    [ "$published" -gt 0 ] && [ "$in_flight" -gt $((jobs / 8)) ]
}
wait_until is_at_work
stop_worker 1
# Nobody else is there, and jobs are answered in their order.
collect text $((published + in_flight / 2)) >"$work/finished.txt"
answers=$(kcat -Q -b "$bootstrap" -t text.results:0:-1 | sed 's/.* offset //')
[ "$answers" -lt "$jobs" ] || fail "it took more until none was left"
start_worker 2 "$work/worker.conf"
collect text "$jobs"
stop_worker 2
