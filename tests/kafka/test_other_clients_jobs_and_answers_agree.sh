# Jobs by confluent-kafka and fastavro from the published schema; answers read back by
# them equal those of ONNX Runtime within 1e-5, and keep key and headers.
source tests/kafka/lib.sh

for model in digits text attention; do make_topics "$model".{jobs:2,results:2,dead:1}; done
write_config "$work/worker.conf" digits text attention
start_worker 1 "$work/worker.conf"
for model in digits text attention; do
    "$python" tests/kafka/interop.py --bootstrap "$bootstrap" --model "$model" \
        --jobs "$prefix$model.jobs" --results "$prefix$model.results"
done
stop_worker 1
