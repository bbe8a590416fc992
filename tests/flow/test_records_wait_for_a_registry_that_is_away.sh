# While the schema registry does not answer, records wait for it in their places, and the
# worker says why it is not ready; another route goes on. None is given up, and all are
# answered in their order once it is back.
source tests/lib.sh

start_broker {digits.jobs,digits.results,digits.dead,orders,scored,dead}:1
start_registry
register_schema orders-value '{"type": "record", "name": "Order", "fields": [
    {"name": "a", "type": "long"}, {"name": "b", "type": "long"}]}' >"$work/id"
expect 1 "$work/id"
kill -STOP "$registry_pid" # it takes connections, and says nothing
DIGITS="$(model_path digits)"
cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
consumer = { session_timeout_ms = 6000; heartbeat_interval_ms = 500; };
worker = { group = "test"; delivery = "at_least_once"; };
http = { port = 0; };
log = { format = "json"; };
registry = { urls = "http://127.0.0.1:1,$registry"; timeout_ms = 200; };
models = ( { name = "digits"; path = "$DIGITS"; },
           { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = (
    { input = "digits.jobs"; output = "digits.results"; dead_letter = "digits.dead";
      model = "digits"; },
    { input = "orders"; output = "scored"; dead_letter = "dead"; model = "twofold";
      record = { inputs = [ "a", "b" ]; outputs = { y = "y"; }; }; }
);
END
expect_exit 1 "$millrace" worker --config "$work/worker.conf" --check
expect "the mapping of 'orders' could not be checked: schema registry $registry" \
    "$work/out"
start_worker 1 "$work/worker.conf"
expect mapping_unchecked "$work/worker-1.log"

for ((i = 0; i < 5; i++)); do
    bytes "00 00000001 $(printf '%02x' $((2 * i))) 00" >"$work/record" # the longs i and 0
    send_raw orders "key-$i" "$work/record"
done
wait_until metric_is 1 millrace_jobs_awaiting_schema 5
not_ready() { [ "$(http_code 1 readyz)" = 503 ]; }
wait_until not_ready
expect "schema 1: schema registry $registry" "$work/http.txt"
submit digits 20
collect digits 20
metric_is 1 millrace_jobs_dead_lettered_total 0 || fail "a record was given up"

# A worker that is stopped meanwhile leaves them to the next one, and does not wait.
stopped_at=$SECONDS
stop_worker 1
((SECONDS - stopped_at < 20)) || fail "it took $((SECONDS - stopped_at)) s to stop"
expect left_waiting "$work/worker-1.log"
start_worker 2 "$work/worker.conf"
wait_until metric_is 2 millrace_jobs_awaiting_schema 5
kill -CONT "$registry_pid"
read_topic scored 5 '%k\n' >"$work/answers"
printf 'key-%d\n' {0..4} | cmp - "$work/answers" || fail "answers: $(<"$work/answers")"
wait_until metric_is 2 millrace_jobs_awaiting_schema 0
wait_until worker_is_ready 2
expect schema_awaited "$work/worker-1.log"
stop_worker 2
