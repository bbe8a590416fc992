# 20,000 jobs, two workers, five kill -9 at random: a reader of committed records finds
# each id exactly once.  Counted by millrace collect, and by another client.
source tests/kafka/lib.sh

make_topics digits.{jobs:4,results:4,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
start_worker 2 "$work/worker.conf"
submit_among_crashes digits 20000 2500 "$work/worker.conf"
collect digits 20000
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" --topic "${prefix}digits.results" \
    --prefix digits- --count 20000
stop_worker 1
stop_worker 2
