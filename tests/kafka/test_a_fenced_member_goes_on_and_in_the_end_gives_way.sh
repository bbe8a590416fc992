# A member whose name another client takes makes a new consumer and goes on, with nothing
# lost or doubled in its transactions. Where the other one comes back again and again it ends
# and says why; who has a name of its own then finishes the work.
source tests/kafka/lib.sh

# Takes the worker's name so many times; each time the worker takes it back.
take_name=("$python" tests/kafka/take_name.py --bootstrap "$bootstrap" --group "${prefix}test"
    --name taken --topic "${prefix}digits.jobs" --times)

replaced_is() { [ "$(grep -c '"event":"consumer_replaced"' "$work/worker-1.log")" = "$1" ]; }

count_ids() { # COUNT
    "$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" \
        --topic "${prefix}digits.results" --prefix digits- --count "$1"
}

make_topics digits.{jobs:4,results:4,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf" --set worker.instance=taken
submit digits 9000 --rate 900 --key id &
submitting=$!
background+=("$submitting")
for fenced in 1 2; do
    answered=$(metric 1 millrace_jobs_answered_total)
    wait_until metric_is_over 1 millrace_jobs_answered_total "$answered"
    "${take_name[@]}" 1
    wait_until replaced_is "$fenced"
    wait_until metric_is 1 millrace_partitions_assigned 4
done
wait "$submitting"
collect digits 9000
count_ids 9000

# Two more in the same ten minutes are too many.
submit digits 4000 --first 9000 --rate 500 --key id &
submitting=$!
background+=("$submitting")
wait_until metric_is_over 1 millrace_jobs_answered_total 9100
"${take_name[@]}" 2 >"$work/taker.log" 2>&1 &
taker=$!
background+=("$taker")
wait_until gone "${worker_pid[1]}"
kill -KILL "$taker" # nobody takes the name back any more
status=0
wait "${worker_pid[1]}" || status=$?
[ "$status" -ne 0 ] || fail "it ended as if nothing were wrong"
expect "fenced 4 times in 10 minutes: another worker of group '${prefix}test' has the name 'taken'" \
    "$work/worker-1.log"
expect 'give each a worker.instance of its own' "$work/worker-1.log"
replaced_is 3 || fail "not three consumers were replaced"
start_worker 2 "$work/worker.conf" --set worker.instance=own
wait "$submitting"
collect digits 4000 --first 9000
count_ids 13000
stop_worker 2
