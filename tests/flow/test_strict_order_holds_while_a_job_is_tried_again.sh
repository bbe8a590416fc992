# With order = "partition" a job that fails for now keeps its place: the answers of its
# partition come in the order of their jobs, whatever has to be tried again, and after the
# last attempt it is a dead letter.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1}
ROUTE_EXTRA='retry_delays = "1s"; order = "partition";'
write_config "$work/worker.conf" digits
export MILLRACE_FAIL_JOB=no_memory:digits-000003:1
start_worker 1 "$work/worker.conf"
submit digits 200 --key id
collect digits 200
wait_until metric_is 1 millrace_jobs_retried_total 1
read_topic digits.results 200 '%k\n' >"$work/keys"
sort -c "$work/keys" || fail "the answers are in another order"
metric_is 1 millrace_partitions_assigned 1 || fail "there are retry topics"
stop_worker 1

MILLRACE_FAIL_JOB=no_memory:digits-000210
start_worker 2 "$work/worker.conf"
submit digits 20 --key id --first 200
read_topic digits.dead 1 '%k %h\n' >"$work/dead"
expect 'digits-000210 ' "$work/dead"
expect 'millrace.attempt=2' "$work/dead"
read_topic digits.results 219 '%k\n' >"$work/keys"
sort -c "$work/keys" || fail "the answers are in another order"
stop_worker 2
