#!/bin/bash
# demo.sh - Millrace's main job in a minute: three models, workers that come and go.
#
#     make demo            on a throw-away broker in one process; nothing else is needed
#     make demo KAFKA=1    on a real Apache Kafka, which is fetched; a worker is killed
#
# Two workers of one group answer jobs for three models. Half-way one of them goes and a
# third joins. At the end every job must have exactly one answer.
#
# On Kafka the worker is killed with -9 in the middle of its work, and results and offsets
# are one transaction. The throw-away broker forgets the offsets of transactions, and
# refuses those of workers while their group changes; so there the workers run
# at_least_once, and one is stopped between the halves.
#
# Files are below build/demo. MILLRACE names another program than build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

millrace=${MILLRACE:-build/millrace}
kafka=${KAFKA:-}
work=build/demo
config=conf/millrace.conf
models=(digits text attention)

# Each model's jobs are whole rounds of its 320, 1200 or 64 sample rows, so that the
# accuracy of the answers can be held against Keras's own on the same rows. Attention's
# rows are large: more partitions keep them below what the throw-away broker remembers.
declare -A jobs=([digits]=2560 [text]=2400 [attention]=2048)
declare -A partitions=([digits]=4 [text]=4 [attention]=8)
rate=500           # jobs per second and model
ready_timeout_s=40 # for a worker to get its partitions
delivery=at_least_once
if [ -n "$kafka" ]; then delivery=exactly_once; fi

declare -A worker_pid=()
submitting=() # the processes that send jobs
broker_pid=
kafka_started=
interrupted=130 # the exit code after Ctrl-C

step() { printf '\n== %s\n' "$*"; }
die() {
    echo "demo.sh: $*" >&2
    exit 1
}

# ---- clean up --------------------------------------------------------------------------

show_logs() {
    local log
    for log in "$work"/worker-*.log "$work"/submit-*.log "$work"/broker.log; do
        if [ -f "$log" ]; then
            printf '\n-- the end of %s\n' "$log"
            tail -n 15 "$log"
        fi
    done >&2
}

cleanup() {
    local status=$? pid
    trap - EXIT
    trap '' INT TERM # a second Ctrl-C must leave nothing running
    if [ "$status" -ne 0 ] && [ "$status" -ne "$interrupted" ]; then show_logs; fi
    for pid in "${worker_pid[@]}" "${submitting[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    if [ -n "$broker_pid" ]; then kill "$broker_pid" 2>/dev/null || true; fi
    if [ -n "$kafka_started" ]; then tests/kafka/kafka.sh stop --dir "$work/kafka" || true; fi
    wait 2>/dev/null || true
    exit "$status"
}

# Waits until "$@" succeeds, at most $1 seconds.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 0.05
    done
}

# ---- broker ----------------------------------------------------------------------------

# NAME:PARTITIONS of every topic, one a line.
topics() {
    local model
    for model in "${models[@]}"; do
        printf '%s:%d\n' "$model.jobs" "${partitions[$model]}" "$model.results" 4 "$model.dead" 1
    done
}

start_toy_broker() {
    "$millrace" broker --topics "$(topics | paste -sd,)" --address-file "$work/address" \
        >"$work/broker.log" 2>&1 &
    broker_pid=$!
    wait_until 10 test -s "$work/address" || die "the broker did not start"
    bootstrap=$(cat "$work/address")
}

start_kafka() {
    tools/packages.sh kafka
    tests/kafka/kafka.sh fetch
    kafka_started=yes
    bootstrap=$(tests/kafka/kafka.sh start --dir "$work/kafka" | sed -n 's/^bootstrap=//p')
    "$millrace" topics --bootstrap "$bootstrap" "$(topics | paste -sd,)" ||
        die "the topics could not be made"
}

# ---- workers ---------------------------------------------------------------------------

worker_has_partitions() { grep -q '"kind":"assigned"' "$work/worker-$1.log"; }
worker_settled() { worker_has_partitions "$1" || ! kill -0 "${worker_pid[$1]}" 2>/dev/null; }

# A killed worker's partitions and its open transaction are free after these times.
start_worker() {
    MILLRACE_KAFKA_BOOTSTRAP_SERVERS=$bootstrap \
        MILLRACE_WORKER_GROUP=millrace-demo MILLRACE_WORKER_DELIVERY=$delivery \
        MILLRACE_HTTP_PORT=0 MILLRACE_LOG_FORMAT=json \
        MILLRACE_CONSUMER_SESSION_TIMEOUT_MS=6000 \
        MILLRACE_PRODUCER_TRANSACTION_TIMEOUT_MS=10000 \
        "$millrace" worker --config "$config" >"$work/worker-$1.log" 2>&1 &
    worker_pid[$1]=$!
    echo "worker $1 is process ${worker_pid[$1]}"
}

await_worker() {
    wait_until "$ready_timeout_s" worker_settled "$1" ||
        die "worker $1 got no partitions in $ready_timeout_s s"
    worker_has_partitions "$1" || die "worker $1 has ended"
}

# Asks worker $1 to stop, and expects it to end well.
stop_worker() {
    local pid=${worker_pid[$1]} status=0
    kill -TERM "$pid"
    wait "$pid" || status=$?
    unset "worker_pid[$1]"
    if [ "$status" -ne 0 ]; then die "worker $1 ended with exit code $status"; fi
    echo "worker $1 has finished what it had begun and is gone"
}

kill_worker() {
    local pid=${worker_pid[$1]}
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null || true
    unset "worker_pid[$1]"
    echo "worker $1 was killed in the middle of its work; Kafka misses it after 6 s, and"
    echo "until then the jobs it had taken wait"
}

# ---- jobs ------------------------------------------------------------------------------

# Begins to send half $1 (0 or 1) of every model's jobs, all models at once. Silent: the
# bar on the terminal is that of the answers.
begin_half() {
    local model half
    for model in "${models[@]}"; do
        half=$((jobs[$model] / 2))
        "$millrace" submit --bootstrap "$bootstrap" --topic "$model.jobs" --model "$model" \
            --input "=tests/data/$model/samples.npy" --id-prefix "$model-" \
            --first $(($1 * half)) --count "$half" --rate "$rate" --key id \
            >>"$work/submit-$model.log" 2>&1 &
        submitting+=($!)
    done
}

end_half() {
    local pid
    for pid in "${submitting[@]}"; do wait "$pid" || die "jobs could not be submitted"; done
    submitting=()
}

# The jobs in the first 1/PART of every model's.
total() {
    local model sum=0
    for model in "${models[@]}"; do sum=$((sum + jobs[$model] / $1)); done
    echo "$sum"
}

# collect PART [FLAG]...: waits for the first 1/PART of every model's jobs.
collect() {
    local model part=$1 arguments=()
    shift
    for model in "${models[@]}"; do
        arguments+=(--topic "$model.results"
            --expect "$model-=$((jobs[$model] / part)):tests/data/$model/labels.npy")
    done
    "$millrace" collect --bootstrap "$bootstrap" --timeout 40 "${arguments[@]}" "$@" ||
        die "not every job has exactly one answer"
}

change_workers_at_rest() {
    stop_worker 1
    start_worker 3
    await_worker 3
    begin_half 1
}

change_workers_at_work() {
    begin_half 1
    # Killed when answers of the second half have begun to come.
    "$millrace" collect --bootstrap "$bootstrap" --topic digits.results --settle 0 --json \
        --id-prefix digits- --first $((jobs[digits] / 2)) --count 100 >"$work/begun.json"
    kill_worker 1
    start_worker 3
}

# What Keras itself gets on the same rows, from the files that training left.
print_keras() {
    local model accuracy
    printf '\nKeras itself, on the same rows:'
    for model in "${models[@]}"; do
        accuracy=$(sed -nE 's/.*"(sample_)?keras_accuracy": ([0-9.]+).*/\2/p' \
            "conf/models/$model/accuracy.json" | tail -n 1)
        awk -v name="$model" -v share="$accuracy" \
            'BEGIN { printf " %s %.2f %%", name, 100 * share }'
    done
    echo
}

# ---- the demo --------------------------------------------------------------------------

[ -x "$millrace" ] || die "$millrace is not there: make demo builds it"
rm -rf "$work"
mkdir -p "$work"
trap cleanup EXIT
trap 'exit $interrupted' INT TERM
started=$SECONDS

if [ -n "$kafka" ]; then
    change="One worker is killed with -9, another comes"
    step "Apache Kafka, with topics for three models"
    start_kafka
else
    change="One worker is stopped, another comes"
    step "A throw-away broker, with topics for three models"
    start_toy_broker
fi
echo "broker at $bootstrap"

step "Two workers of one group"
start_worker 1
start_worker 2
await_worker 1
await_worker 2

step "The first half of the jobs"
begin_half 0
collect 2 --settle 0 --json >"$work/first-half.json"
end_half
echo "$(total 2) jobs sent and answered"

step "$change"
if [ -n "$kafka" ]; then change_workers_at_work; else change_workers_at_rest; fi

step "The second half of the jobs, and what became of all"
collect 1
end_half
print_keras

step "The workers that are left stop"
stop_worker 2
stop_worker 3
echo
echo "The demo took $((SECONDS - started)) s."
