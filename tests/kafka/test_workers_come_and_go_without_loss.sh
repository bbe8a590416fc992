# Scale out from one worker to three and in to one again, under load: every job is answered
# once, and each worker that went on tells how long it stood still.
source tests/kafka/lib.sh

make_topics digits.{jobs:6,results:6,dead:1}
write_config "$work/worker.conf" digits

seconds() { curl -s -m 20 "${worker_http[$1]}/metrics" | awk -v n="$2" '$1 == n { print $2 }'; }
tell() { # WORKER WHAT
    echo "$2: worker $1 stood still for $(seconds "$1" millrace_rebalance_pause_last_seconds) s"
}

start_worker 1 "$work/worker.conf"
submit digits 16000 --rate 1600 --key id &
submitting=$!
background+=("$submitting")
wait_until metric_is_over 1 millrace_jobs_answered_total 500
for n in 2 3; do
    pauses=$(metric 1 millrace_rebalance_pauses_total)
    start_worker "$n" "$work/worker.conf"
    wait_until metric_is "$n" millrace_partitions_assigned $((6 / n))
    wait_until metric_is_over 1 millrace_rebalance_pauses_total "$pauses"
    wait_until metric_is_over "$n" millrace_jobs_answered_total 100
    tell 1 "out to $n"
done
for n in 3 2; do
    pauses=$(metric 1 millrace_rebalance_pauses_total)
    stop_worker "$n"
    wait_until metric_is 1 millrace_partitions_assigned $((6 / (n - 1)))
    wait_until metric_is_over 1 millrace_rebalance_pauses_total "$pauses"
    tell 1 "in to $((n - 1))"
done
wait "$submitting"
collect digits 16000
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" --topic "${prefix}digits.results" \
    --prefix digits- --count 16000
expect '"event":"rebalance_pause"' "$work/worker-1.log"
awk -v s="$(seconds 1 millrace_rebalance_pause_seconds_total)" 'BEGIN { exit !(s > 0 && s < 60) }' ||
    fail "no pause can be so long, or so short"
stop_worker 1
