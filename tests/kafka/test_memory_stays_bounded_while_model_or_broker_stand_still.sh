# Far more jobs wait than the window holds while a batch takes 12 s, and while the broker is
# stopped as it is: what the process holds stays bounded, and each id has one answer.
source tests/kafka/lib.sh

[ -n "${KAFKA_DIR:-}" ] || { echo "skipped: the broker is not ours"; exit 0; }
jobs=100000 # of 3.2 KB: twenty windows
make_topics digits.{jobs:4,results:4,dead:1}
WORKER_EXTRA='threads = 1; window_mb = 16; window_jobs = 65536;'
write_config "$work/worker.conf" digits
# A session that outlives the stop: memory is the question here.
sed -i 's/session_timeout_ms = 6000/session_timeout_ms = 45000/' "$work/worker.conf"
submit digits "$jobs" --key id

mib() { # FIELD of the worker's status
    awk -v field="$1:" '$1 == field { printf "%d", $2 / 1024 }' "/proc/${worker_pid[1]}/status"
}
published() { metric 1 millrace_results_published_total; }
stands_still() {
    local before
    before=$(published)
    [ "$before" -gt 0 ] || return 1
    pause_ms 3000
    [ "$(published)" -eq "$before" ]
}
# Late enough that the worker knows how small answers are: at first it holds fewer jobs.
export MILLRACE_FAIL_JOB=slow:digits-010000:1
start_worker 1 "$work/worker.conf"
unset MILLRACE_FAIL_JOB
wait_until stands_still
slow_mib=$(mib VmRSS)
slow=$(published)
wait_until metric_is_over 1 millrace_results_published_total "$slow"

broker() { tests/kafka/kafka.sh kill 1 --signal "$1" --dir "$KAFKA_DIR"; }
broker STOP
before_mib=$(mib VmRSS)
pause_ms 10000
stopped_mib=$(mib VmRSS)
left=$((jobs - $(published)))
broker CONT
[ "$left" -gt 10000 ] || fail "only $left jobs were left when the broker was stopped"
collect digits "$jobs"
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" --topic "${prefix}digits.results" \
    --prefix digits- --count "$jobs"
peak_mib=$(mib VmHWM)
echo "MiB: $slow_mib while a batch was slow, $before_mib and $stopped_mib as the broker was" \
    "stopped and 10 s later, $peak_mib at most"
[ "$peak_mib" -lt 220 ] || fail "the process had $peak_mib MiB"
stop_worker 1
