# SIGHUP under load: another file and version of the model serve between two batches, each
# answer says which one it is of, a file that cannot serve is refused, and nothing is lost.
source tests/lib.sh

work_path=$(realpath "$work")
model=$work_path/model.onnx
put_model() { # TEXT: the same network with TEXT in its description, so another file
    { cat conf/models/digits/model.onnx && printf '\x32\x01%s' "$1"; } >"$model.next"
    mv "$model.next" "$model"
}
sha() { sha256sum "$model" | cut -c1-64; }
set_version() {
    sed "s|path = \"[^\"]*\";|path = \"$model\"; version = \"$1\";|" "$work/first.conf" >"$work/worker.conf"
}
reload() { kill -HUP "${worker_pid[1]}"; }
page_has() { [[ $(curl -s -m 20 "${worker_http[1]}/metrics") == *"$1"* ]]; }
info() { # VERSION: is the page's model that one, by its file's digest?
    page_has "version=\"$1\",path=\"$model\",sha256=\"$(sha)\""
}
outcome() { page_has "outcome=\"$1\"} $2"; } # OUTCOME COUNT
have_left() { [ "$(grep -c '"event":"model_left"' "$work/worker-1.log")" -eq "$1" ]; }

start_broker digits.{jobs:2,results:2,dead:1}
write_config "$work/first.conf" digits
put_model 1
set_version 1
sha >>"$work/shas"
start_worker 1 "$work/worker.conf" --set worker.threads=2
info 1 || fail "the page does not name the version"

submit digits 6000 --rate 1500 --key id &
submitting=$!
background+=("$submitting")
wait_until metric_is_over 1 millrace_jobs_answered_total 200
for v in 2 3 4 5; do
    put_model "$v"
    sha >>"$work/shas"
    set_version "$v"
    reload
    wait_until info "$v"
    wait_until have_left $((v - 1)) # what is answered from here on, this one answers
    before=$(metric 1 millrace_jobs_answered_total)
    submit digits 100 --first $((5800 + 100 * v)) --key id
    wait_until metric_is_over 1 millrace_jobs_answered_total $((before + 50))
done
reload
wait_until outcome unchanged 1

# What cannot serve is refused, and the one before goes on.
echo "no model" >"$work/bad.onnx"
for bad in "$work_path/bad.onnx" "$PWD/tests/data/models/pair.onnx" "$work_path/nowhere.onnx"; do
    sed "s|path = \"[^\"]*\";|path = \"$bad\"; version = \"6\";|" "$work/first.conf" >"$work/worker.conf"
    reload
    refused=$((${refused:-0} + 1))
    wait_until outcome refused "$refused"
done
expect '"event":"model_refused"' "$work/worker-1.log"
expect 'restart to serve it' "$work/worker-1.log"
echo "models = 5;" >"$work/worker.conf"
reload
wait_until grep -q reload_refused "$work/worker-1.log"
info 5 || fail "a refused version serves"
# The rest of a changed file is named as what takes a restart.
set_version 5
sed -i 's|job_bytes_max = [0-9]*;||; s|dead_letter = |job_bytes_max = 4242; dead_letter = |' "$work/worker.conf"
reload
wait_until grep -q 'reload_ignored.*"settings":"routes\[0\].job_bytes_max"' "$work/worker-1.log"

wait "$submitting"
collect digits 6400 --output "$work/answers.jsonl"
jq -r .model_sha256 "$work/answers.jsonl" | sort -u >"$work/seen"
sort -u "$work/shas" | cmp - "$work/seen" || fail "other versions answered than served"
[ "$(jq -r 'select(.version == "5") | .model_sha256' "$work/answers.jsonl" | sort -u)" = "$(sha)" ] ||
    fail "version and digest do not go together"
stop_worker 1
