# An id is the sender's affair: each record has its answer, and collect tells the double.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
submit digits 5
submit digits 1
wait_until metric_is 1 millrace_results_published_total 6
expect_exit 1 collect digits 5 --settle 5 # the sixth may come in a later fetch
expect '1 answers too many' "$work/out"
stop_worker 1
