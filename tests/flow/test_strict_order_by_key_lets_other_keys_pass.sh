# With order = "key" the answers of a key wait for its job that is tried again, those of other
# keys do not, and a worker that takes over does only what is left.
source tests/lib.sh

send_jobs() { # FIRST COUNT: job N under the key N modulo 5
    local n
    for ((n = $1; n < $1 + $2; n++)); do
        kcat -C -q -b "$bootstrap" -t digits.made -p 0 -o "$n" -c 1 -f '%s' >"$work/job"
        send_raw digits.jobs "k$((n % 5))" "$work/job"
    done
}
answers() { # COUNT: the numbers of the jobs, in the order of their answers
    collect digits "$1" --output "$work/answers.jsonl" >"$work/collected"
    jq -r .id "$work/answers.jsonl" | sed 's/^digits-0*\(.\)/\1/' >"$work/numbers"
    awk '{ k = $1 % 5; if (k in last && $1 < last[k]) exit 1; last[k] = $1 }' "$work/numbers" ||
        fail "a key's answers are in another order: $(xargs <"$work/numbers")"
}

start_broker digits.{jobs:1,results:1,dead:1,made:1}
"$millrace" submit --bootstrap "$bootstrap" --topic digits.made --id-prefix digits- \
    --input =tests/data/digits/samples.npy --count 30
ROUTE_EXTRA='retry_delays = "2s"; order = "key";'
write_config "$work/worker.conf" digits
export MILLRACE_FAIL_JOB=no_memory:k3:1 # every job of that key fails once
send_jobs 0 20
start_worker 1 "$work/worker.conf"
# Those of the other keys are there first, though four jobs stand before most of them.
wait_until metric_is 1 millrace_results_published_total 20
answers 20
[ "$(sed -n '$p' "$work/numbers")" = 18 ] || fail "18 was not the last"
tail -n 4 "$work/numbers" | xargs | grep -qx '3 8 13 18' || fail "others waited for k3"

# The worker ends while jobs of k3 are put off for long.
sed -i 's/2s/60s/' "$work/worker.conf"
stop_worker 1
start_worker 2 "$work/worker.conf" --set worker.drain_timeout_s=1
send_jobs 20 10
wait_until metric_is 2 millrace_results_published_total 8
kill -TERM "${worker_pid[2]}"
wait_until gone "${worker_pid[2]}"
unset MILLRACE_FAIL_JOB
start_worker 3 "$work/worker.conf"
answers 30
metric_is 3 millrace_results_published_total 2 || fail "done again: what was answered"
stop_worker 3
