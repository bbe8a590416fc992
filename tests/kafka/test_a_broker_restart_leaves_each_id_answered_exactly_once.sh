# The only broker goes away in the middle of the work: both workers say so, and once it is
# back they go on by themselves. Each id has one answer.
source tests/kafka/lib.sh

[ -n "${KAFKA_DIR:-}" ] || { echo "skipped: the broker is not ours"; exit 0; }
make_topics digits.{jobs:4,results:4,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
start_worker 2 "$work/worker.conf"
submit digits 10000 --rate 2500 --key id &
submitting=$!
background+=("$submitting")
wait_until metric_is_over 1 millrace_results_published_total 500
tests/kafka/kafka.sh kill 1 --signal TERM --dir "$KAFKA_DIR"
is_not_ready() { [ "$(http_code "$1" readyz)" = 503 ] && grep -q broker "$work/http.txt"; }
wait_until is_not_ready 1
wait_until is_not_ready 2
[ "$(http_code 1 healthz)" = 200 ] || fail "waiting for a broker is not unhealthy"
tests/kafka/kafka.sh restart 1 --dir "$KAFKA_DIR"
wait "$submitting"
collect digits 10000
"$python" tests/kafka/count_ids.py --bootstrap "$bootstrap" --topic "${prefix}digits.results" \
    --prefix digits- --count 10000
for worker in 1 2; do
    wait_until worker_is_ready "$worker"
    stop_worker "$worker"
done
