# Records tell their deadlines and their priorities by fields that the route names: one that is
# late is a dead letter of that stage, one above 0 waits for nobody; a null is neither.
source tests/lib.sh

start_broker orders:1 scored:1 dead:1
cat >"$work/order.avsc" <<'END'
{"type": "record", "name": "Order", "fields": [
    {"name": "amount", "type": "double"}, {"name": "age", "type": "int"},
    {"name": "by", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]},
    {"name": "urgency", "type": ["null", "int"]}]}
END
cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = { group = "test"; delivery = "at_least_once"; };
http = { port = 0; };
log = { format = "json"; };
models = ( { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; batch_size = 8; } );
routes = ( { input = "orders"; output = "scored"; dead_letter = "dead"; model = "twofold";
    record = { schema = "order.avsc"; inputs = [ "amount", "age" ];
               deadline = "by"; priority = "urgency"; }; } );
END
start_worker 1 "$work/worker.conf"
urgent_batches() {
    curl -s -m 20 "${worker_http[1]}/metrics" |
        awk '/^millrace_batch_flushes_total.*"priority"/ { sum += $NF } END { print sum + 0 }'
}
send() { # KEY HEX [HEADER=VALUE]
    bytes "00 00 00 00 00 00 00 40 02 $2" >"$work/record"
    send_raw orders "$1" "$work/record" "${@:3}"
}
send late '02 d00f 00'                  # by 1000 ms after 1970
send neither '00 00'
send in-time '02 feffffffffff3f 00'     # by the year 19807
send of-header '00 00' millrace.deadline_ms=1000
send its-own '02 feffffffffff3f 00' millrace.deadline_ms=1000
read_topic scored 3 '%k\n' >"$work/keys"
printf '%s\n' neither in-time its-own | cmp - "$work/keys" || fail "$(<"$work/keys")"
read_topic dead 2 '%k %h\n' >"$work/dead"
[ "$(grep -c '^\(late\|of-header\) .*millrace.stage=deadline' "$work/dead")" -eq 2 ] ||
    fail "late: $(<"$work/dead")"
[ "$(urgent_batches)" -eq 0 ] || fail "one was urgent"

send not-first '00 02 04' millrace.priority=0
read_topic scored 4 '%k\n' >"$work/keys"
[ "$(urgent_batches)" -eq 0 ] || fail "the field went before the Kafka header"
send first '00 02 04'
urgent_batches_are() { [ "$(urgent_batches)" -eq "$1" ]; }
wait_until urgent_batches_are 1
stop_worker 1
