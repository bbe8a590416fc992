# Records in Confluent's wire format come back as they are, with the prediction behind
# their fields and a schema that is registered; a schema that evolves is followed, a null
# takes its default, what is no such record is a dead letter, and nobody waits for it.
source tests/lib.sh

start_registry
start_broker orders:1 scored:1 dead:1

order() { # FIELD...
    local IFS=,
    echo '{"type": "record", "name": "Order", "namespace": "shop", "fields": ['"$*"']}'
}
id='{"name": "id", "type": "string"}'
amount='{"name": "amount", "type": "double"}'
age='{"name": "age", "type": ["null", "int"], "default": null}'
note='{"name": "note", "type": "string", "default": ""}'
first=$(printf '00 %08x' "$(register_schema orders-value "$(order "$id" "$amount" "$age")")")
second=$(printf '00 %08x' \
    "$(register_schema orders-value "$(order "$note" "$id" "$amount" "$age")")")

cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
consumer = { session_timeout_ms = 6000; heartbeat_interval_ms = 500; };
worker = { group = "test"; delivery = "at_least_once"; };
http = { port = 0; };
log = { format = "json"; };
registry = { urls = "http://127.0.0.1:1,$registry"; };
models = ( { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = ( {
    input = "orders"; output = "scored"; dead_letter = "dead"; model = "twofold";
    record = {
        inputs = { x = ( "amount", { field = "age"; default = -1; } ); };
        outputs = { both = "y"; minus = { output = "z"; element = 0; }; };
    };
} );
END
"$millrace" worker --config "$work/worker.conf" --check || fail "a good mapping was refused"
start_worker 1 "$work/worker.conf"

sent=0
send() { # HEX
    bytes "$1" >"$work/sent-$sent"
    send_raw orders "key-$sent" "$work/sent-$sent" "origin=shop-$sent"
    sent=$((sent + 1))
}
two='00 00 00 00 00 00 00 40'    # 2.0, and as a float:
floats='00000040' minus='000000c0'
send "$first 0261 $two 023c"     # a, 2.0, 30
send "$second 04 6869 0261 $two 00" # "hi" before it, and no age
send "$first 0261 $two"          # cut
send "00 000003e7 0261 $two 00"  # an id that the registry has not
send '42'                        # no framing
send "$first 0261 $two 00"

read_topic scored 3 '%k %h\n' >"$work/answers"
model=,millrace.model=twofold,millrace.model_version=1
model+=,millrace.model_sha256=$(sha256sum tests/data/models/twofold.onnx | cut -c1-64)
printf "key-%d origin=shop-%d$model\n" 0 0 1 1 5 5 | cmp - "$work/answers" ||
    fail "keys and headers: $(<"$work/answers")"
answer() { # INDEX HEX
    kcat -C -q -b "$bootstrap" -t scored -p 0 -o "$1" -c 1 -D '' -f '%s' >"$work/answer"
    bytes "$2" | cmp - "$work/answer" || fail "answer $1: $(od -An -tx1 "$work/answer")"
}
# The framing of the answers whose schema's first field is so named; which of the two was
# registered first is open.
framing_of() { # FIELD
    local version
    for version in 1 2; do
        curl -s -m 20 "$registry/subjects/scored-value/versions/$version" >"$work/version"
        if [ "$(jq -r '.schema | fromjson | .fields[0].name' "$work/version")" = "$1" ]; then
            printf '00 %08x' "$(jq .id "$work/version")"
            return
        fi
    done
}
answer 0 "$(framing_of id) 0261 $two 023c 04 $floats 0000f041 00 $minus"
answer 1 "$(framing_of note) 04 6869 0261 $two 00 04 $floats 00000000 00 $minus"
answer 2 "$(framing_of id) 0261 $two 00 04 $floats 00000000 00 $minus"
for version in 1 2; do
    curl -s -m 20 "$registry/subjects/scored-value/versions/$version" |
        jq -c '.schema | fromjson | [.namespace, .name, [.fields[].name]]'
done >"$work/schemas"
expect '["shop","Order",["id","amount","age","both","minus"]]' "$work/schemas"
expect '["shop","Order",["note","id","amount","age","both","minus"]]' "$work/schemas"

read_topic dead 3 '%k %h\n' >"$work/dead"
for expected in 'key-2 origin=shop-2' 'age at byte 10' 'schema 999' 'a message of 1 bytes has no framing'; do
    expect "$expected" "$work/dead"
done
kcat -C -q -b "$bootstrap" -t dead -p 0 -o 0 -c 1 -D '' -f '%s' >"$work/letter"
cmp "$work/letter" "$work/sent-2" || fail "a dead letter's bytes were changed"
wait_until metric_is 1 millrace_jobs_dead_lettered_total 3

# A tombstone is answered by one; kcat tells its size as -1.
echo 'gone:' | kcat -P -q -b "$bootstrap" -t orders -p 0 -K : -Z
read_topic scored 4 '%k %S\n' >"$work/answers"
expect 'gone -1' "$work/answers"
stop_worker 1

# Where the model's headers are not wanted, the record's own are still there.
sed -i 's/record = {/record = { model_headers = "none";/' "$work/worker.conf"
start_worker 2 "$work/worker.conf"
send "$first 0261 $two 00"
read_topic scored 5 '%k %h\n' >"$work/answers"
[ "$(grep "key-$((sent - 1))" "$work/answers")" = "key-$((sent - 1)) origin=shop-$((sent - 1))" ] ||
    fail "headers: $(<"$work/answers")"
stop_worker 2
