# A job that fails for a reason that may pass waits in a retry topic and is answered by a
# later attempt; one that fails on every level is a dead letter that tells of the first
# error. The jobs around them wait for neither.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1}
ROUTE_EXTRA='retry_delays = "1s 1s";'
write_config "$work/worker.conf" digits
export MILLRACE_FAIL_JOB=no_memory:digits-000003:2
start_worker 1 "$work/worker.conf"
submit digits 20 --key id
collect digits 20
read_topic digits.jobs.test.retry.2 1 '%k %h\n' >"$work/retry"
expect 'digits-000003 millrace.retry.attempt=2' "$work/retry"
expect 'millrace.retry.topic=digits.jobs,millrace.retry.partition=0,millrace.retry.offset=3' \
    "$work/retry"
wait_until metric_is 1 millrace_jobs_retried_total 2
wait_until metric_is 1 millrace_retries_published_total 2
metric_is 1 millrace_jobs_dead_lettered_total 0 || fail "a job was given up"
stop_worker 1

MILLRACE_FAIL_JOB=no_memory:digits-000025
start_worker 2 "$work/worker.conf"
submit digits 20 --key id --first 20
read_topic digits.dead 1 '%k %h\n' >"$work/dead"
expect 'digits-000025 ' "$work/dead"
expect 'millrace.attempt=3' "$work/dead"
expect 'millrace.first_error=decode: no memory' "$work/dead"
expect '__connect.errors.topic=digits.jobs' "$work/dead"
expect '__connect.errors.offset=25' "$work/dead"
expect_not 'millrace.retry' "$work/dead"
wait_until metric_is 2 millrace_jobs_answered_total 19
stop_worker 2
