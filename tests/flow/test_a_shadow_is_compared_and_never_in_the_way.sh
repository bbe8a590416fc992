# A second model scores copies of the jobs: the same file agrees in all, another one does not;
# its answers go to a topic of their own, and one that cannot be published harms nothing.
source tests/lib.sh

outcome() { # OUTCOME: jobs of which the page says so
    curl -s -m 20 "${worker_http[1]}/metrics" |
        awk -v o="outcome=\"$1\"}" '/^millrace_shadow_jobs_total/ && index($1, o) { n += $2 } END { print n + 0 }'
}
is_settled() { # COUNT: every job has come to something
    [ "$(metric 1 millrace_shadow_jobs_total)" -eq "$1" ]
}

start_broker digits.{jobs:2,results:2,dead:1,shadow:2}
# A part of the weights is nothing: another network of the same shape.
cp conf/models/digits/model.onnx "$work/worse.onnx"
dd if=/dev/zero of="$work/worse.onnx" bs=1000 seek=1000 count=600 conv=notrunc status=none

shadowed() { # FILE TOPIC
    ROUTE_EXTRA="shadow = \"$1\"; shadow_output = \"$2\";" write_config "$work/worker.conf" digits
}
shadowed "$PWD/conf/models/digits/model.onnx" digits.shadow
start_worker 1 "$work/worker.conf"
submit digits 300 --rate 300 --key id
collect digits 300
wait_until is_settled 300
agreed=$(outcome agreed) dropped=$(outcome dropped)
[ $((agreed + dropped)) -eq 300 ] || fail "the same model does not agree with itself"
[ "$agreed" -gt 0 ] || fail "nothing was compared"
read_topic digits.shadow "$agreed" '%k\n' | sort -u | wc -l | grep -qx "$agreed" ||
    fail "the shadow's answers are not all there"
stop_worker 1

shadowed "$(realpath "$work/worse.onnx")" digits.nowhere
start_worker 1 "$work/worker.conf"
submit digits 300 --rate 300 --first 300 --key id
collect digits 600 --output "$work/answers.jsonl"
wait_until is_settled 300
[ "$(outcome disagreed)" -gt 0 ] || fail "the worse model agrees in all"
[ "$(jq -r .model_sha256 "$work/answers.jsonl" | sort -u | wc -l)" -eq 1 ] || fail "a shadow answered"
[ "$(metric 1 millrace_shadow_difference_count)" -gt 0 ] || fail "no difference was measured"
stop_worker 1

shadowed "$PWD/tests/data/models/pair.onnx" digits.shadow
expect_exit 2 "$millrace" worker --config "$work/worker.conf"
expect "shadow of model 'digits'" "$work/out"
