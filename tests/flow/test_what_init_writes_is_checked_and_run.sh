# millrace init writes what check-config finds fine and a worker runs: for jobs, for bare
# records of a schema's file, and for a topic whose schema the registry has.
source tests/lib.sh

start_registry
start_broker {digits.jobs,digits.results,digits.dead,orders,orders.answers,orders.dead,sales,sales.answers,sales.dead,bare,bare.answers,bare.dead}:1
run_it() { # NAME CONFIG
    expect_exit 0 "$millrace" check-config "$2"
    start_worker "$1" "$2" --set worker.delivery=at_least_once \
        --set consumer.session_timeout_ms=6000 --set consumer.heartbeat_interval_ms=500
}

# Jobs, by the model alone.
"$millrace" init --model conf/models/digits/model.onnx --bootstrap "$bootstrap" \
    --output "$work/digits.conf" >"$work/next"
expect "millrace check-config $work/digits.conf" "$work/next"
expect 'digits.jobs:8,digits.results:8,digits.dead:1' "$work/next"
run_it digits "$work/digits.conf"
submit digits 20
collect digits 20
stop_worker digits

# Bare records: two numbers for two elements; neither the id nor the time nor the text.
cat >"$work/pair.avsc" <<'END'
{"type": "record", "name": "Sale", "fields": [
    {"name": "order_id", "type": "long"},
    {"name": "When", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "amount", "type": ["null", "double"]},
    {"name": "y", "type": "string"},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["CASH", "CARD"]}},
    {"name": "count", "type": "int"}]}
END
"$millrace" init --model tests/data/models/twofold.onnx --schema "$work/pair.avsc" \
    --topic bare --bootstrap "$bootstrap" --output "$work/bare.conf" >"$work/next"
expect 'look it through' "$work/next"
expect '"count"  # int' "$work/bare.conf"
expect '{ field = "amount"; default = "nan"; },  # double, or null' "$work/bare.conf"
expect '#   When (long); a time' "$work/bare.conf"
expect '#   order_id (long)' "$work/bare.conf"
expect '#   kind (enum); a text: steps = { vocabulary = [ "CASH", "CARD" ]; unknown = -1; }' \
    "$work/bare.conf"
expect 'y_predicted = "y"' "$work/bare.conf" # the record has a y of its own
run_it bare "$work/bare.conf"
bytes '0e 02 02 0000000000000040 0261 02 06' >"$work/record" # 7, 1, 2.0, "a", CARD, 3
send_raw bare key "$work/record"
read_topic bare.answers 1 '%k\n' >"$work/keys"
kcat -C -q -b "$bootstrap" -t bare.answers -p 0 -o 0 -c 1 -D '' -f '%s' >"$work/answer"
# The record, then the model's input as it is, and its negative: lists of 2 floats.
bytes '0e 02 02 0000000000000040 0261 02 06 04 00000040 00004040 00 04 000000c0 000040c0 00' |
    cmp - "$work/answer" || fail "the answer is $(od -An -tx1 "$work/answer")"
# Null is NaN to the model.
bytes '0e 02 00 0261 02 06' >"$work/null"
send_raw bare key "$work/null"
read_topic bare.answers 2 '%k\n' >"$work/keys"
kcat -C -q -b "$bootstrap" -t bare.answers -p 0 -o 1 -c 1 -D '' -f '%s' >"$work/answer"
bytes '0e 02 00 0261 02 06 04 0000c07f 00004040 00 04 0000c0ff 000040c0 00' |
    cmp - "$work/answer" || fail "the answer to null is $(od -An -tx1 "$work/answer")"
stop_worker bare

# The same fields by the registry.
register_schema orders-value "$(jq -c . "$work/pair.avsc")" >"$work/id"
"$millrace" init --model tests/data/models/twofold.onnx --registry "$registry" --topic orders \
    --bootstrap "$bootstrap" --output "$work/orders.conf" >"$work/next"
expect "registry = { urls = \"$registry\"; };" "$work/orders.conf"
run_it orders "$work/orders.conf"
{ bytes "00 $(printf '%08x' "$(<"$work/id")")" && cat "$work/record"; } >"$work/framed"
send_raw orders key "$work/framed"
read_topic orders.answers 1 '%k\n' >"$work/keys"
stop_worker orders
curl -s -m 20 "$registry/subjects/orders.answers-value/versions/1" |
    jq -r '.schema | fromjson | .fields[].name' >"$work/fields"
expect y_predicted "$work/fields"

# A subject that is called like the record: the first record of the topic tells its schema.
id=$(register_schema Sale "$(jq -c . "$work/pair.avsc")")
{ bytes "00 $(printf '%08x' "$id")" && cat "$work/record"; } >"$work/framed"
send_raw sales key "$work/framed"
"$millrace" init --model tests/data/models/twofold.onnx --registry "$registry" --topic sales \
    --bootstrap "$bootstrap" --output "$work/sales.conf" >"$work/next"
expect 'subject = "Sale";' "$work/sales.conf"
run_it sales "$work/sales.conf"
read_topic sales.answers 1 '%k\n' >"$work/keys"
stop_worker sales

# Words for classes, weights beside the model, and what opens the registry: all of it as the
# worker is to have it, with paths from the configuration's folder.
mkdir -p "$work/conf"
printf '%s\n' none some >"$work/words.txt"
register_schema priced-value "$(jq -c . "$work/pair.avsc")" >"$work/id"
MILLRACE_REGISTRY_PASSWORD=hush "$millrace" init --model tests/data/models/twofold.onnx \
    --registry "$registry" --registry-user shop --registry-ca-file "$work/ca.pem" \
    --topic priced --labels "$work/words.txt" --external-data --memory-mb 64 \
    --bootstrap "$bootstrap" --output "$work/conf/all.conf" >"$work/next"
expect_not hush "$work/conf/all.conf"
grep -A2 '^registry' "$work/conf/all.conf" | tr -s ' \n' ' ' >"$work/found"
expect "registry = { urls = \"$registry\"; user = \"shop\"; ca_file = \"$PWD/$work/ca.pem\"; };" \
    "$work/found"
expect 'external_data = "allow";' "$work/conf/all.conf"
expect 'memory_mb = 64;' "$work/conf/all.conf"
expect "labels = \"$PWD/$work/words.txt\"" "$work/conf/all.conf"
: >"$work/ca.pem"
expect_exit 0 "$millrace" check-config "$work/conf/all.conf" --set registry.ca_file= \
    --set worker.delivery=at_least_once
expect_exit 2 env MILLRACE_REGISTRY_TOKEN=t0ken "$millrace" init --registry-user shop \
    --model tests/data/models/twofold.onnx --registry "$registry" --topic orders \
    --output "$work/x.conf"
expect 'not both' "$work/out"
expect_exit 2 "$millrace" init --model tests/data/models/twofold.onnx --labels "$work/words.txt"

# What cannot be is told, and no file is touched.
cp "$work/bare.conf" "$work/before"
expect_exit 2 "$millrace" init --model tests/data/models/twofold.onnx --output "$work/bare.conf"
expect 'is not touched' "$work/out"
cmp "$work/before" "$work/bare.conf" || fail "a file was written over"
expect_exit 2 "$millrace" init --model "$work/none.onnx" --output "$work/x.conf"
expect none.onnx "$work/out"
expect_exit 1 "$millrace" init --model tests/data/models/twofold.onnx --registry "$registry" \
    --topic nothing --output "$work/x.conf"
expect '--schema FILE' "$work/out"
expect_exit 2 "$millrace" init --model tests/data/models/twofold.onnx --registry "$registry"
echo '{"type": "array", "items": "int"}' >"$work/array.avsc"
expect_exit 2 "$millrace" init --model tests/data/models/twofold.onnx \
    --schema "$work/array.avsc" --output "$work/x.conf"
expect 'a record is needed' "$work/out"
[ ! -e "$work/x.conf" ] || fail "a file was left behind"
