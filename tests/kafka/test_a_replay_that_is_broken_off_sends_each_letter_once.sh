# A replay of many letters is killed with -9 again and again and run once more: every letter
# is sent back exactly once. Purging deletes from the front, and says what it left.
source tests/kafka/lib.sh

dlq() { "$millrace" dlq "$1" --bootstrap "$bootstrap" --topic "${prefix}digits.dead" "${@:2}"; }

make_topics digits.{jobs:2,results:2,dead:2}
ROUTE_EXTRA='retry_delays = "";'
write_config "$work/worker.conf" digits
export MILLRACE_FAIL_JOB='no_memory:*'
start_worker 1 "$work/worker.conf"
submit digits 6000 --key id
wait_until metric_is 1 millrace_dead_letters_published_total 6000
stop_worker 1
unset MILLRACE_FAIL_JOB

dlq replay --partition 0 --offsets 3-5 --json >"$work/some"
expect '"sent":3,' "$work/some"
for ((i = 1; i <= 5; i++)); do
    dlq replay --all >"$work/replay-$i" 2>&1 &
    pid=$!
    background+=("$pid")
    pause_ms $((200 * i))
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
done
dlq replay --all --json >"$work/replay"
cat "$work/replay"
dlq replay --all --json >"$work/replay"
expect '"sent":0,"sent_before":6000,' "$work/replay"

start_worker 2 "$work/worker.conf"
collect digits 6000
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" \
    --topic "${prefix}digits.results" --prefix digits- --count 6000
stop_worker 2

dlq purge --offsets 0-99 --partition 0 --json >"$work/purge"
cat "$work/purge"
dlq purge --reason 'nothing like it' --json >"$work/purge"
expect '"deleted":0,"out_of_reach":0,' "$work/purge"
dlq list --limit 1 >"$work/list"
expect 'not all shown' "$work/list"
dlq purge --all >"$work/purge"
dlq list >"$work/list"
expect '0 letters' "$work/list"
