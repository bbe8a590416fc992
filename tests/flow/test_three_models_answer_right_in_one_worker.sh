# Three models, three routes, one worker, exactly-once: every answer is Keras's own.
source tests/lib.sh

start_broker {digits,text,attention}.{jobs:2,results:2,dead:1}
write_config "$work/worker.conf" digits text attention
start_worker 1 "$work/worker.conf" --set worker.delivery=exactly_once
[ "$(http_code 1 healthz)" = 200 ] || fail "the worker is not healthy"

declare -A rows=([digits]=320 [text]=1200 [attention]=64)
for model in "${!rows[@]}"; do submit "$model" "${rows[$model]}"; done
for model in "${!rows[@]}"; do
    collect "$model" "${rows[$model]}" --labels "tests/data/$model/labels.npy" --json \
        >"$work/$model.json"
    keras=$(sed -nE 's/.*"(sample_)?keras_accuracy": ([0-9.]+).*/\2/p' \
        "conf/models/$model/accuracy.json" | tail -n 1)
    ours=$(jq '.models[0].accuracy' "$work/$model.json")
    awk -v a="$keras" -v b="$ours" 'BEGIN { exit !(a - b < 1e-4 && b - a < 1e-4) }' ||
        fail "$model is right in $ours of the samples, Keras in $keras"
done

wait_until metric_is 1 millrace_jobs_answered_total 1584
wait_until metric_is 1 millrace_results_published_total 1584
metric_is 1 millrace_jobs_dead_lettered_total 0 || fail "there are dead letters"
[ "$(metric 1 millrace_batches_total)" -lt 1584 ] || fail "jobs were not put in batches"
stop_worker 1
