# Rows go to a route of records without a registry: submit --as record says that the route
# needs their schema, and writes it; a worker that is given the file answers every row.
source tests/lib.sh

printf 'name,amount,age\na,1.5,\nb,2.5,7\n' >"$work/in.csv"
send=("$millrace" submit --topic rows --rows "$work/in.csv" --as record --id-prefix r-)

# The schema is there before any broker is, so that the route can be made first.
expect_exit 1 "${send[@]}" --bootstrap 127.0.0.1:1 --wait 0 --schema-out "$work/row.avsc"
jq -e '[.fields[] | .name, .type[1]] == ["name","string","amount","double","age","long"]' \
    "$work/row.avsc" >/dev/null || fail "$(<"$work/row.avsc")"

start_broker rows:2 scored:2 dead:1
cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = { group = "test"; delivery = "at_least_once"; };
http = { port = 0; };
models = ( { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = ( { input = "rows"; output = "scored"; dead_letter = "dead"; model = "twofold";
    record = { schema = "row.avsc";
               inputs = { x = ( { field = "amount"; default = 0; },
                                { field = "age"; default = -1; } ); };
               outputs = { y = "y"; }; }; } );
END
expect_exit 0 "${send[@]}" --bootstrap "$bootstrap"
expect '--schema-out FILE' "$work/out"
start_worker 1 "$work/worker.conf"
"$millrace" schema answers --config "$work/worker.conf" --topic rows >"$work/answers.avsc"
expect_exit 0 "$millrace" collect --bootstrap "$bootstrap" --topic scored --as record \
    --schema "$work/answers.avsc" --id-prefix r- --count 2 --timeout "$patience_s" \
    --answers "$work/out.jsonl"
sort "$work/out.jsonl" >"$work/answers"
printf '%s\n' '{"name":"a","amount":1.5,"age":null,"y":[1.5,0]}' \
    '{"name":"b","amount":2.5,"age":7,"y":[2.5,7]}' | cmp - "$work/answers" ||
    fail "answers: $(<"$work/answers")"
stop_worker 1
