# Rows of a model with pad_to are padded for their batch; answers have the length of their job,
# and the values that they would have had alone. One that is too long is a dead letter.
source tests/lib.sh

MODEL_EXTRA='pad_to = "4 8"; linger_ms = 50;'
start_broker masked.{jobs:2,results:2,dead:1}
write_config "$work/worker.conf" masked
start_worker 1 "$work/worker.conf"
expect padding_tried "$work/worker-1.log"

send() { # LENGTH: three jobs of so many steps of 1.5, none of them masked
    write_npy "$work/x.npy" '<f4' "3, $1, 2" $((6 * $1)) '\x00\x00\xc0\x3f'
    write_npy "$work/mask.npy" '<i8' "3, $1" $((3 * $1)) '\x01\0\0\0\0\0\0\0'
    "$millrace" submit --bootstrap "$bootstrap" --topic masked.jobs --id-prefix "$1-" \
        --input "x=$work/x.npy" --input "mask=$work/mask.npy"
}

expected=()
for length in 1 2 3 4 5 6 7 8; do
    send "$length"
    expected+=(--expect "$length-=3")
done
send 9
"$millrace" collect --bootstrap "$bootstrap" --topic masked.results "${expected[@]}" \
    --timeout "$patience_s" --settle 0.2 --output "$work/answers.jsonl"
wait_until metric_is 1 millrace_dead_letters_published_total 3

# Of each answer: its id's length, the mean, and whether all steps are there and doubled.
jq '(.id | split("-")[0] | tonumber) as $n | .outputs |
    .mean.data == [1.5, 1.5] and .turned.shape == [2, $n] and
    .doubled.shape == [$n, 2] and .doubled.data == [range(2 * $n) | 3]' \
    "$work/answers.jsonl" | sort | uniq -c >"$work/right"
expect '24 true' "$work/right"
expect_not false "$work/right"
wait_until metric_is 1 millrace_batch_steps_total $((12 * 4 + 12 * 8))
wait_until metric_is 1 millrace_batch_padding_steps_total $((3 * 12))
stop_worker 1
