# A mistake in the mapping of records is told at start with its file and line, and what
# there is instead: a field, a step, a model's input or output, a field of the answer that
# exists already, a schema of the answers that their subject does not take.
source tests/lib.sh

start_registry
cat >"$work/order.avsc" <<'END'
{"type": "record", "name": "Order", "fields": [
    {"name": "amount", "type": "double"}, {"name": "age", "type": ["null", "int"]},
    {"name": "country", "type": "string"},
    {"name": "customer", "type": {"type": "record", "name": "Customer", "fields": [
        {"name": "zip", "type": "int"}]}}]}
END
mkdir "$work/schemas"
cp "$work/order.avsc" "$work/schemas"
register_schema orders-value "$(<"$work/order.avsc")" >"$work/id"

write_record() { # MEMBERS [OTHER SETTINGS]
    cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "127.0.0.1:1"; }; ${2:-}
models = ( { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = ( { input = "orders"; output = "scored"; dead_letter = "dead"; model = "twofold";
    record = {
        $1
    }; } );
END
}
check() { # EXIT TEXT...
    expect_exit "$1" "$millrace" worker --config "$work/worker.conf" --check
    local text
    for text in "${@:2}"; do expect "$text" "$work/out"; done
}
file='schema = "order.avsc";'
place=worker.conf:5

write_record "$file"' inputs = { x = [ "amount", "customer.zip" ]; };'
check 0
write_record 'schemas = "schemas"; inputs = { x = [ "amount", "customer.zip" ]; };'
check 0
write_record 'inputs = [ "amount", "customer.zip" ];' "registry = { urls = \"$registry\"; };"
check 0

# A reader of the answers can have their schema, though it is registered by the first alone.
answers() { # EXIT TOPIC TEXT
    expect_exit "$1" "$millrace" schema answers --config "$work/worker.conf" --topic "$2"
    expect "$3" "$work/out"
}
answers 0 orders '{"name":"y","type":{"type":"array","items":"float"}},{"name":"z"'
answers 1 order "no route with a 'record' has the input 'order'"
write_record "$file"' inputs = [ "amount", "age" ]; answer = "prediction";'
answers 0 orders '{"type":"record","name":"Prediction","namespace":"millrace"'

write_record "$file"' inputs = { x = [ "amont", "age" ]; };'
check 2 "$place: input 'x', source 1" amont amount age country
write_record 'inputs = { x = [ "amont", "age" ]; };' "registry = { urls = \"$registry\"; };"
check 2 "$place: subject 'orders-value': input 'x', source 1" amont amount age
write_record 'schemas = "schemas"; inputs = { x = [ "amount", "customer.street" ]; };'
check 2 "$place: input 'x', source 2" street zip
write_record "$file"' inputs = { x = [ "amount", "country" ]; };'
check 2 "$place: input 'x', source 2" "give a vocabulary or hash it"
write_record "$file"' inputs = [ "amount", "age" ];
        deadline = "by";'
check 2 "$place: input 'deadline', source 1 (" "worker.conf:6): field 'by'" \
    "the record 'Order' has no field 'by'; it has: amount, age, country, customer"
write_record "$file"' inputs = [ "amount", "age" ]; priority = "country";'
check 2 "$place: input 'priority', source 1" "must be an int or a long, not string"
write_record "$file"' inputs = { x = [ "amount" ]; };'
check 2 "$place: " "its sources give 1 elements, but the model takes 2"
write_record "$file"' inputs = { X = [ "amount", "age" ]; };'
check 2 "$place: there is no input 'X'; model 'twofold' takes 'x'"
write_record "$file"' inputs = [ "amount", "age" ]; outputs = { score = "yy"; };'
check 2 "$place: " "the model has no output 'yy', but 'y'"
write_record "$file"' inputs = [ "amount", "age" ]; outputs = { age = "y"; };'
check 2 "$place: " "the input's record has a field 'age' already"
write_record "$file"' inputs = [ "amount", "age" ]; outputs = { score = { element = 1; }; };'
check 2 "$place: which output of model 'twofold' is 'score' made of? It has 2"
write_record 'schema = "nowhere.avsc"; inputs = [ "amount", "age" ];'
check 2 "$place: " "nowhere.avsc: No such file"

# What needs no schema is told with all else that is wrong in the file.
write_record 'inputs = ( { field = "age"; steps = ( "log2p" ); }, { fild = "amount"; } );'
check 2 "$place: routes[0].record.inputs[0].steps[0]: there is no step 'log2p'; is 'log1p'" \
    "$place: routes[0].record.inputs[1] has no setting 'fild'; is 'field' meant?" \
    "where do the records' schemas come from?"

# The subject of the answers holds what is not compatible with them.
register_schema scored-value '{"type": "record", "name": "Order", "fields": [
    {"name": "amount", "type": "string"}]}' >"$work/id"
write_record 'inputs = [ "amount", "age" ];' "registry = { urls = \"$registry\"; };"
check 2 "$place: " "the answers' schema: it is incompatible" "subject 'scored-value'"
