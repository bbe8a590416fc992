# A record of the control topic changes the model of every worker, one that starts later
# among them; wrong ones are refused, counted and harm nothing.
source tests/lib.sh

put_model() { # VERSION: another file of the same network
    { cat conf/models/digits/model.onnx && printf '\x32\x01%s' "$1"; } >"$work/files/$1.onnx"
}
order() { # VERSION PATH [SHA256]
    echo "{\"model\": \"digits\", \"version\": \"$1\", \"path\": \"$2\"${3:+, \"sha256\": \"$3\"}}" |
        kcat -P -q -b "$bootstrap" -t digits.models -k digits
}
sha() { sha256sum "$work/files/$1.onnx" | cut -c1-64; }
page_has() { [[ $(curl -s -m 20 "${worker_http[$1]}/metrics") == *"$2"* ]]; }
serves() { page_has "$1" "version=\"$2\",path=\"$files/$2.onnx\",sha256=\"$(sha "$2")\""; }

mkdir "$work/files"
files=$(realpath "$work/files")
for v in 2 3; do put_model "$v"; done
echo "no model" >"$work/files/bad.onnx"
ln -s ../worker.conf "$work/files/out.onnx"

start_broker digits.{jobs:2,results:2,dead:1,models:1}
write_config "$work/worker.conf" digits
echo "control = { topic = \"digits.models\"; folder = \"$files\"; };" >>"$work/worker.conf"
start_worker 1 "$work/worker.conf"
order 2 2.onnx "$(sha 2)"
wait_until serves 1 2
start_worker 2 "$work/worker.conf"
wait_until serves 2 2

order 4 bad.onnx
wait_until page_has 1 'outcome="refused"} 1'
order 4 3.onnx "$(sha 2)"
wait_until page_has 1 'outcome="refused"} 2'
for wrong in out.onnx ../worker.conf nowhere.onnx; do # together, only the last would count
    order 4 "$wrong"
    refused=$((${refused:-0} + 1))
    wait_until metric_is 1 millrace_orders_refused_total "$refused"
done
expect 'leads out of' "$work/worker-1.log"
echo "nonsense" | kcat -P -q -b "$bootstrap" -t digits.models
echo '{"model": "text", "path": "2.onnx", "version": "1"}' | kcat -P -q -b "$bootstrap" -t digits.models
wait_until metric_is 1 millrace_orders_refused_total 5
expect_not nonsense "$work/worker-1.log"
serves 1 2 || fail "a refused order was followed"

order 3 3.onnx
wait_until serves 1 3
wait_until serves 2 3
submit digits 400 --key id
collect digits 400 --output "$work/answers.jsonl"
[ "$(jq -r .model_sha256 "$work/answers.jsonl" | sort -u)" = "$(sha 3)" ] || fail "other models answered"
stop_worker 1
stop_worker 2
