# The only broker goes away in the middle of the work and comes back.
source tests/kafka/lib.sh

[ -n "${KAFKA_DIR:-}" ] || { echo "skipped: the broker is not ours"; exit 0; }
make_topics digits.{jobs:4,results:4,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
submit digits 4000 --rate 2000 &
submitting=$!
background+=("$submitting")
pause_ms 1000
tests/kafka/kafka.sh restart 1 --dir "$KAFKA_DIR"
wait "$submitting"
collect digits 4000
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" --topic "${prefix}digits.results" \
    --prefix digits- --count 4000
wait_until worker_is_ready 1
stop_worker 1
