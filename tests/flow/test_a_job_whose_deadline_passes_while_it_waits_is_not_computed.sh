# A job whose deadline passes while it waits for a thread is not computed but a dead letter, of
# one row or of several in several batches; what waits beside it is answered.
source tests/lib.sh

export MILLRACE_FAIL_JOB=slow:sleeper:1 # the only thread is busy for 12 s
start_broker twofold.{jobs:1,results:1,dead:1}
WORKER_EXTRA='threads = 1;' MODEL_EXTRA='batch_size = 2;'
write_config "$work/worker.conf" twofold
start_worker 1 "$work/worker.conf"

job() { # SHAPE FLOATS: Avro by hand, with an id alone
    bytes "02 6a 00 00 00 00 02 00 00 $1 00 00 $(printf '%02x' $(($2 * 8)))" >"$work/job"
    head -c $(($2 * 4)) /dev/zero >>"$work/job"
    printf '\0' >>"$work/job"
}
is_in_flight() { metric_is 1 millrace_jobs_in_flight "$1"; }

job '02 04' 2
send_raw twofold.jobs sleeper "$work/job"
wait_until is_in_flight 1
until_ms=millrace.deadline_ms=$((${EPOCHREALTIME/./} / 1000 + 3000))
send_raw twofold.jobs one "$work/job" "$until_ms"
send_raw twofold.jobs patient "$work/job"
job '04 06 04' 6
send_raw twofold.jobs three "$work/job" "$until_ms"
wait_until is_in_flight 4
metric_is 1 millrace_jobs_dead_lettered_total 0 || fail "they were not in time"

read_topic twofold.dead 2 '%k %h\n' >"$work/dead"
[ "$(grep -c '^\(one\|three\) .*millrace.stage=deadline' "$work/dead")" -eq 2 ] || fail "$(<"$work/dead")"
expect 'ms past its deadline' "$work/dead"
read_topic twofold.results 2 '%k\n' | sort >"$work/keys"
printf '%s\n' patient sleeper | cmp - "$work/keys" || fail "$(<"$work/keys")"
metric_is 1 millrace_jobs_answered_total 2 || fail "a job that was late was computed"
metric_is 1 millrace_jobs_dead_lettered_total 2 || fail "they are not counted"
stop_worker 1
