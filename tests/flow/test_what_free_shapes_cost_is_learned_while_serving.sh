# Of a model whose rows have a free dimension nobody knows at start what a batch costs; once jobs
# have come the page tells it, and how many rows make a batch full.
source tests/lib.sh

start_broker {masked,twofold}.{jobs:2,results:2,dead:1}
write_config "$work/worker.conf" masked twofold
"$millrace" check-config "$work/worker.conf" >"$work/check"
expect 'batches of 64 at most, their cost learned from the jobs' "$work/check"
expect 'batches of 64 at most, 5 ms' "$work/check"
"$millrace" check-config --json "$work/worker.conf" | jq -c '[.models[].cost]' >"$work/check"
expect '["learned","measured"]' "$work/check"

start_worker 1 "$work/worker.conf"
page() { curl -s -m 20 "${worker_http[1]}/metrics" >"$work/page"; }
page
expect 'millrace_model_cost_seconds{model="twofold",rows="1"}' "$work/page"
expect 'millrace_model_batch_rows{model="twofold",threads="busy"}' "$work/page"
expect_not 'millrace_model_cost_seconds{model="masked"' "$work/page"
expect_not 'millrace_model_batch_rows{model="masked"' "$work/page"

expected=()
for ((length = 4; length <= 256; length *= 8)); do
    write_npy "$work/x.npy" '<f4' "10, $length, 2" $((20 * length)) '\x00\x00\xc0\x3f'
    write_npy "$work/mask.npy" '<i8' "10, $length" $((10 * length)) '\x01\0\0\0\0\0\0\0'
    "$millrace" submit --bootstrap "$bootstrap" --topic masked.jobs --id-prefix "masked-$length-" \
        --count 500 --input "x=$work/x.npy" --input "mask=$work/mask.npy"
    expected+=(--expect "masked-$length-=500")
done
"$millrace" collect --bootstrap "$bootstrap" --topic masked.results "${expected[@]}" \
    --timeout "$patience_s" --settle 0.2
is_known() { page && grep -q "^millrace_model_cost_seconds{model=\"masked\",rows=\"1\"} 0\.0*[1-9]" "$work/page"; }
wait_until is_known
expect 'millrace_model_batch_rows{model="masked",threads="busy"}' "$work/page"
metric_is 1 millrace_jobs_dead_lettered_total 0 || fail "there are dead letters"
stop_worker 1
