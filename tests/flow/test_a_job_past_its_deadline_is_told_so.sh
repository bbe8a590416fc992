# A job that comes after its deadline, or waits past it, is a dead letter of that stage, as
# the job's own field or a header of its record says; others are answered.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1} made:1
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
submit digits 5
# Well-formed Avro by hand: an id, no model, no version, a deadline of 1970, no headers.
{
    printf '\012job-1\0\0\002\002\0'
    printf '\002\0\0\006\070\070\002\0\0\200\061'
    head -c 3136 /dev/zero
    printf '\0'
} >"$work/late"
send_raw digits.jobs field "$work/late"
"$millrace" submit --bootstrap "$bootstrap" --topic made --count 1 \
    --input "=tests/data/digits/samples.npy" --id-prefix digits-9
read_topic made 1 '%s' >"$work/good"
send_raw digits.jobs header "$work/good" millrace.deadline_ms=1000
send_raw digits.jobs urgent "$work/good" millrace.priority=1
send_raw digits.jobs later "$work/good" millrace.deadline_ms=99999999999999
collect digits 5
read_topic digits.results 7 '%k\n' >"$work/keys"
expect 'urgent' "$work/keys"
expect 'later' "$work/keys"
read_topic digits.dead 2 '%k %h\n' >"$work/dead"
expect 'field ' "$work/dead"
expect 'header ' "$work/dead"
[ "$(grep -c 'millrace.stage=deadline' "$work/dead")" -eq 2 ] || fail "the stage is another"
expect 'ms past its deadline' "$work/dead"
metric_is 1 millrace_jobs_dead_lettered_total 2 || fail "they are not counted"

# A job's own header makes it urgent, but for a Kafka header that says otherwise.
urgent_batches() {
    curl -s -m 20 "${worker_http[1]}/metrics" |
        awk '/^millrace_batch_flushes_total.*"priority"/ { sum += $NF } END { print sum + 0 }'
}
{
    printf '\012job-2\0\0\0\002\042millrace.priority\0021\0'
    printf '\002\0\0\006\070\070\002\0\0\200\061'
    head -c 3136 /dev/zero
    printf '\0'
} >"$work/first"
urgent_batches_are() { [ "$(urgent_batches)" -eq "$1" ]; }
wait_until urgent_batches_are 1
send_raw digits.jobs not-first "$work/first" millrace.priority=0
read_topic digits.results 8 '%k\n' >"$work/keys"
expect 'not-first' "$work/keys"
urgent_batches_are 1 || fail "the job's own header went first"
send_raw digits.jobs first "$work/first"
wait_until urgent_batches_are 2
stop_worker 1
