# Records of fastavro in single-object encoding, of two schemas that a third one reads, and
# bare ones: each is answered in its framing, with its fields and the prediction or with
# that alone.
source tests/kafka/lib.sh

make_topics {marked,bare}{,.out,.dead}:1
mkdir "$work/marked"
"$python" tests/kafka/framings.py schemas "$work"
cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = { group = "${prefix}test"; };
http = { port = 0; };
log = { format = "json"; };
models = ( { name = "m"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = (
    { input = "${prefix}marked"; output = "${prefix}marked.out";
      dead_letter = "${prefix}marked.dead"; model = "m";
      record = { schemas = "marked"; reader = "reader.avsc";
          inputs = { x = ( "heat", { field = "speed"; default = -1; } ); };
          outputs = { score = { output = "y"; element = 0; };
                      minus = { output = "z"; element = 1; }; }; }; },
    { input = "${prefix}bare"; output = "${prefix}bare.out";
      dead_letter = "${prefix}bare.dead"; model = "m";
      record = { schema = "bare.avsc"; answer = "prediction"; inputs = [ "pair" ]; }; }
);
END
"$millrace" worker --config "$work/worker.conf" --check
start_worker 1 "$work/worker.conf"
"$python" tests/kafka/framings.py send --bootstrap "$bootstrap" --prefix "$prefix"
"$python" tests/kafka/framings.py read --bootstrap "$bootstrap" --prefix "$prefix" >"$work/read"
expect '120 records were answered in their framing' "$work/read"
stop_worker 1
