# A rolling restart of static members under load: neither the one that stays nor the one
# that comes back sees its partitions move, and every job is answered once.
source tests/kafka/lib.sh

make_topics digits.{jobs:4,results:4,dead:1}
WORKER_EXTRA='membership = "static"; instance = "a";' write_config "$work/a.conf" digits
WORKER_EXTRA='membership = "static"; instance = "b";' write_config "$work/b.conf" digits
# A restart has to fit into the session.
sed -i 's/session_timeout_ms = 6000/session_timeout_ms = 45000/' "$work"/[ab].conf
start_worker a "$work/a.conf"
start_worker b "$work/b.conf"
wait_until metric_is a millrace_partitions_assigned 2
wait_until metric_is b millrace_partitions_assigned 2
before=$(metric b millrace_rebalances_total)

submit digits 6000 --rate 1000 --key id &
submitting=$!
background+=("$submitting")
for i in 1 2; do
    stop_worker a
    start_worker a "$work/a.conf"
    wait_until metric_is a millrace_partitions_assigned 2
    metric_is a millrace_rebalances_total 1 || fail "restart $i: a's partitions moved"
    wait_until metric_is_over a millrace_jobs_answered_total 0
done
wait "$submitting"
collect digits 6000
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" --topic "${prefix}digits.results" \
    --prefix digits- --count 6000
metric_is b millrace_rebalances_total "$before" || fail "b's partitions moved"
metric_is b millrace_rebalance_pauses_total "$(grep -c rebalance_pause "$work/worker-b.log" || true)" ||
    fail "b counts pauses that it does not tell of"

# A second one of the same name fences the first, and that one it: never two at once. The
# first, which is fenced once more than the second, gives way.
launch_worker thief "$work/b.conf"
wait_until gone "${worker_pid[b]}"
expect 'give each a worker.instance of its own' "$work/worker-b.log"
! gone "${worker_pid[thief]}" || fail "both gave way"
stop_worker a
stop_worker thief
