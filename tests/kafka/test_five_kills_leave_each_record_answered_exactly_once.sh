# 20,000 Avro records, two workers of a record route, five kill -9 at random: a reader of
# committed records finds each record exactly once, whole, with its own prediction.
source tests/kafka/lib.sh

rows=20000
make_topics readings:4 scored:4 dead:1
write_rows "$rows"
cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = { group = "${prefix}test"; };
http = { port = 0; };
log = { format = "json"; };
models = ( { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = ( { input = "${prefix}readings"; output = "${prefix}scored";
             dead_letter = "${prefix}dead"; model = "twofold";
             record = { schema = "row.avsc"; inputs = { x = ( "amount", "age" ); };
                        outputs = { y = "y"; }; }; } );
END
start_worker 1 "$work/worker.conf"
start_worker 2 "$work/worker.conf"
among_crashes "$work/worker.conf" "$millrace" submit --bootstrap "$bootstrap" \
    --topic "${prefix}readings" --rows "$work/in.csv" --as record --id-prefix row- --rate 2500
"$millrace" collect --bootstrap "$bootstrap" --topic "${prefix}scored" --as record \
    --id-prefix row- --count $rows --timeout "$patience_s" --schema "$work/scored.avsc" \
    --answers "$work/scored.jsonl" --json >"$work/collect.json"
jq -e ".answered == $rows and .duplicates == 0 and .unknown == 0 and .malformed == 0" \
    "$work/collect.json" >/dev/null || fail "$(<"$work/collect.json")"
each_came_back "$work/scored.jsonl" "$rows" || fail "not every record came back once and whole"
stop_worker 1
stop_worker 2
