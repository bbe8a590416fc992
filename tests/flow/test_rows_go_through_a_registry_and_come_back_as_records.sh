# submit --as record frames rows for a schema registry and registers their schema; collect
# --as record finds that of the answers by its id, and writes each id's record once.
source tests/lib.sh

start_registry
start_broker rows:2 scored:2 dead:1
printf 'id,amount,age\na,1.5,\nb,2.5,7\n"c ""d""",,9\nbad,none,1\n' >"$work/in.csv"
cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
consumer = { session_timeout_ms = 6000; heartbeat_interval_ms = 500; };
worker = { group = "test"; delivery = "at_least_once"; };
http = { port = 0; };
registry = { urls = "$registry"; };
models = ( { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = ( { input = "rows"; output = "scored"; dead_letter = "dead"; model = "twofold";
    record = { inputs = { x = ( { field = "amount"; default = 0; },
                                { field = "age"; default = -1; } ); };
               outputs = { y = "y"; }; }; } );
END
sent() { # [FLAG]...
    "$millrace" submit --bootstrap "$bootstrap" --topic rows --rows "$work/in.csv" --as record \
        --registry "$registry" --id-prefix r- --type amount=double --json "$@"
}
expect_exit 1 sent
expect "row 4: column 'amount' is not a number" "$work/out"
sent --skip-bad >"$work/submit.json" # the first three are there twice now
jq -e '.rows == 4 and .bad == 1 and .delivered == 3' "$work/submit.json" >/dev/null ||
    fail "$(<"$work/submit.json")"
curl -s -m 20 "$registry/subjects/rows-value/versions/1" |
    jq -c '.schema | fromjson | [.fields[] | .name, .type[1]]' >"$work/schema"
expect '["id","string","amount","double","age","long"]' "$work/schema"
start_worker 1 "$work/worker.conf"

"$millrace" collect --bootstrap "$bootstrap" --topic scored --as record --registry "$registry" \
    --id-prefix r- --count 3 --timeout "$patience_s" --settle 1 --answers "$work/out.jsonl" \
    --json >"$work/collect.json"
jq -e '.answered == 3 and .duplicates == 3' "$work/collect.json" >/dev/null ||
    fail "$(<"$work/collect.json")"
sort "$work/out.jsonl" >"$work/answers"
printf '%s\n' '{"id":"a","amount":1.5,"age":null,"y":[1.5,0]}' \
    '{"id":"b","amount":2.5,"age":7,"y":[2.5,7]}' \
    '{"id":"c \"d\"","amount":null,"age":9,"y":[0,9]}' | cmp - "$work/answers" ||
    fail "answers: $(<"$work/answers")"
expect_exit 2 "$millrace" collect --bootstrap "$bootstrap" --topic scored --as record --count 3 \
    --answers "$work/none.csv"
expect '--registry URL or --schema FILE' "$work/out"
stop_worker 1
