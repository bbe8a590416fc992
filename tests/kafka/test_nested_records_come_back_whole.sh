# Confluent's serializer writes records that refer to another subject's schema, with unions,
# lists of any length, maps, decimals and enums; the worker makes inputs of all of them, and
# the deserializer reads each record back as it was, with what the model made of it.
source tests/kafka/lib.sh

start_registry
make_topics {flat,lists}{,.out}:2 dead:1
python=$(tests/kafka/venv.sh registry)/bin/python # it has the serializers
nested() { # send|read
    "$python" tests/kafka/nested.py "$1" --bootstrap "$bootstrap" --registry "$registry" \
        --prefix "$prefix"
}
nested send
cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = { group = "${prefix}test"; };
http = { port = 0; };
log = { format = "json"; };
registry = { urls = "$registry"; };
models = ( { name = "pair"; path = "$PWD/tests/data/models/pair.onnx"; } );
routes = (
    { input = "${prefix}flat"; output = "${prefix}flat.out"; dead_letter = "${prefix}dead";
      model = "pair";
      record = {
          inputs = {
              a = ( "total", { field = "customer.age"; default = -1; },
                    { field = "attrs[\"risk.level\"]"; default = -2; },
                    { field = "customer.kind"; default = "NEW";
                      steps = { vocabulary = [ "NEW", "REGULAR", "GOLD" ]; }; } );
              b = { value = 0; count = 4; };
          };
          outputs = { first = { element = 0; }; second = { element = 1; };
                      third = { element = 2; }; fourth = { element = 3; }; };
      }; },
    { input = "${prefix}lists"; output = "${prefix}lists.out"; dead_letter = "${prefix}dead";
      model = "pair";
      record = { inputs = { a = "lines.price"; b = "lines.quantity"; };
                 outputs = { sums = "sum"; }; }; }
);
END
"$millrace" worker --config "$work/worker.conf" --check
start_worker 1 "$work/worker.conf"
nested read >"$work/read"
expect '100 nested records came back whole' "$work/read"
curl -s -m 20 "$registry/subjects/${prefix}flat.out-value/versions/latest" |
    jq -c .references >"$work/references"
expect '[{"name":"shop.Customer","subject":"shop.Customer","version":1}]' "$work/references"
stop_worker 1
