# Workers of one group share the partitions; one that leaves hands its own over.
source tests/lib.sh

start_broker digits.{jobs:4,results:4,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
start_worker 2 "$work/worker.conf"
wait_until metric_is 1 millrace_partitions_assigned 2
wait_until metric_is 2 millrace_partitions_assigned 2
submit digits 600 --key id
collect digits 600
[ "$(metric 1 millrace_jobs_answered_total)" -gt 100 ] || fail "worker 1 was idle"
[ "$(metric 2 millrace_jobs_answered_total)" -gt 100 ] || fail "worker 2 was idle"

stop_worker 1
start_worker 3 "$work/worker.conf"
wait_until metric_is 3 millrace_partitions_assigned 2
wait_until metric_is 2 millrace_partitions_assigned 2
submit digits 600 --key id --first 600
collect digits 1200
stop_worker 2
stop_worker 3
