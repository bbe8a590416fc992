# Jobs that fail twice before they succeed, while workers are killed: each id is answered
# exactly once, and the retry topics were made with as many partitions as the input has.
source tests/kafka/lib.sh

make_topics digits.{jobs:4,results:4,dead:1}
ROUTE_EXTRA='retry_delays = "1s 2s";'
write_config "$work/worker.conf" digits
export MILLRACE_FAIL_JOB='no_memory:*:2'
start_worker 1 "$work/worker.conf"
start_worker 2 "$work/worker.conf"
submit digits 3000 --rate 1000 --key id &
submitting=$!
background+=("$submitting")
for ((i = 0; i < 3; i++)); do
    pause_ms 2000
    crash_worker $((i % 2 + 1)) "$work/worker.conf"
done
wait "$submitting"
collect digits 3000
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" \
    --topic "${prefix}digits.results" --prefix digits- --count 3000
for level in 1 2; do
    kcat -L -b "$bootstrap" -t "${prefix}digits.jobs.${prefix}test.retry.$level" >"$work/topic"
    expect 'with 4 partitions' "$work/topic"
done
stop_worker 1
stop_worker 2
