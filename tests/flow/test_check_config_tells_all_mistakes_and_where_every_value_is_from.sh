# check-config: models, routes, and every setting with its origin; all mistakes; no secrets.
source tests/lib.sh

bootstrap=127.0.0.1:1 WORKER_EXTRA='threads = 2;'
write_config "$work/good.conf" digits text
sed -i 's/^kafka = {/kafka = { sasl_password = "geheim";/' "$work/good.conf"
export MILLRACE_LOG_LEVEL=warn
expect_exit 0 "$millrace" check-config "$work/good.conf" --set worker.window_mb=64
expect "good.conf: fine" "$work/out"
expect_not geheim "$work/out"
value_is() { # KEY VALUE ORIGIN
    grep -qE "^  $1 +$2 +$3\$" "$work/out" || fail "$1 is not $2 from $3: $(grep "$1 " "$work/out")"
}
value_is kafka.sasl.password '\(hidden\)' '.*/good.conf:1'
value_is worker.threads 2 '.*/good.conf:3'
value_is worker.window_mb 64 --set
value_is log.level warn MILLRACE_LOG_LEVEL
value_is worker.drain_timeout_s 30 default
value_is 'routes\[1\].input' text.jobs '.*/good.conf:[0-9]+'
expect "digits.jobs -> digits.results, jobs by digits" "$work/out"
expect "2 compute threads" "$work/out"
expect "input  tokens int32[" "$work/out"

"$millrace" check-config "$work/good.conf" --json >"$work/json"
expect_not geheim "$work/json"
jq -e '.fine and .problems == [] and .threads == 2 and (.models[1].inputs[0].name == "tokens")
    and .routes[0].dead_letter == "digits.dead"
    and (.values[] | select(.key == "log.level") | .value == "warn" and .from == "MILLRACE_LOG_LEVEL")' \
    "$work/json" >"$work/out" || fail "the JSON is not as it should be: $(cat "$work/json")"

# Two properties, two models: four mistakes, each with its place.
sed 's/session_timeout_ms/session_timeout/; s/heartbeat_interval_ms = 500/enable_auto_commit = true/
    s/digits.model.onnx/digits\/none.onnx/; s/text.model.onnx/text\/labels.npy/' \
    "$work/good.conf" >"$work/bad.conf"
expect_exit 2 "$millrace" check-config "$work/bad.conf"
for mistake in 'bad.conf:2: .*session.timeout; is session.timeout.ms meant?' 'bad.conf:2: .*enable.auto.commit' \
    "bad.conf:6: model 'digits': .*none.onnx" "bad.conf:6: model 'text': "; do
    grep -q "$mistake" "$work/out" || fail "'$mistake' is not told: $(cat "$work/out")"
done
status=0
"$millrace" check-config "$work/bad.conf" --json >"$work/json" || status=$?
[ "$status" -eq 2 ] || fail "exit code $status"
jq -e '(.fine | not) and (.problems | length) == 4 and ([.models[].loaded] == [false, false])' \
    "$work/json" >"$work/out" || fail "the JSON does not tell the mistakes: $(cat "$work/json")"

# A shadow is a model like any other.
ROUTE_EXTRA='shadow = "none.onnx";'
write_config "$work/shadow.conf" digits
expect_exit 2 "$millrace" check-config "$work/shadow.conf"
grep -q "shadow.conf:[0-9]*: shadow of model 'digits': .*none.onnx" "$work/out" ||
    fail "the shadow's file is not told: $(cat "$work/out")"
ROUTE_EXTRA="shadow = \"$(model_path digits)\";"
write_config "$work/shadow.conf" digits
expect_exit 0 "$millrace" check-config "$work/shadow.conf"
expect 'compared with' "$work/out"

# A file that cannot be read as a configuration is told as JSON too.
echo 'worker = { gruop = 1; };' >"$work/bad.conf"
status=0
"$millrace" check-config "$work/bad.conf" --json >"$work/json" || status=$?
[ "$status" -eq 2 ] || fail "exit code $status"
jq -e '.problems | map(select(test("gruop"))) | length == 1' "$work/json" >"$work/out" ||
    fail "no mistake is told: $(cat "$work/json")"
