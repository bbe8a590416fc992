#!/bin/bash
# bench.sh - Millrace, the Python worker and the bare transport, side by side, one broker.
#
# All consume the same jobs of one filled topic, each in a group of its own, and are
# stopped when they have done them all or their time is up. They take turns, repetition
# after repetition, so that a machine that gets slower does so for all of them. Rates come
# from the time at which the broker wrote the results, read when the worker is gone, as
# watching costs. Latencies are measured in runs of their own, at half the rate
# that the worker has just shown. Broker and load generator run on the same machine.
#
# Needs what tests/kafka/kafka.sh and venv.sh need, and build/loadgen, build/transport and
# build/millrace.
set -euo pipefail

usage() {
    cat <<'END'
usage: bench.sh [OPTION]...
  --contenders A,B,...    of millrace, python and transport (default all, but python where
                          records are); each may have
                          ":at-least-once", ":workers=N" or ":no-headers" (of records'
                          answers) after its name
  --model NAME            digits (3.2 kB a job), digits-int8, the same quantised to
                          8 bits, logistic, a regression of 30 features (0.2 kB a
                          job), or records, the same of flat Avro records
                          with 30 fields, answered whole (no python); default digits
  --repetitions N         (default 3)
  --jobs N                in the input topic (default 1000000; logistic and records
                          5000000)
  --run-seconds S         the longest throughput run (default 20)
  --skip-seconds S        of warm-up left out of every figure (default 3)
  --latency-seconds S     of each latency run; 0 for none (default 15)
  --latency-rate-max N    jobs a second (default 20000): the broker and the generator need
                          their share of this machine too
  --commit-interval-ms N  of every contender (default 100)
  --threads N             of Millrace and of ONNX Runtime (default 1)
Writes build/bench/MODEL.json (and one log for each run), prints a table in Markdown.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=/dev/null
source "$here/lib.sh"
file="" samples="" # bench_model sets them
build=$root/build
out=$build/bench
kafka=$root/tests/kafka/kafka.sh
loadgen=$build/loadgen
runs=$out/runs.jsonl

contenders="" model=digits repetitions=3 run_seconds=20 jobs=""
skip_seconds=3 latency_seconds=15 latency_rate_max=20000 commit_interval_ms=100 threads=1

say() { echo "bench.sh: $*" >&2; }
die() { say "$*"; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage; exit 0 ;;
    --contenders | --model | --repetitions | --jobs | --run-seconds | --skip-seconds | \
        --latency-seconds | --latency-rate-max | --commit-interval-ms | --threads)
        [ $# -gt 1 ] || { say "$1 needs a value"; exit 2; }
        name=${1#--}
        printf -v "${name//-/_}" %s "$2"
        shift 2 ;;
    *) say "unknown argument $1"; usage >&2; exit 2 ;;
    esac
done

sends=() # flags of loadgen
case $model in
digits*) : "${jobs:=1000000}" ;;
records) sends=(--records); : "${contenders:=millrace,transport}" ;;
esac
: "${jobs:=5000000}"
# Records are of the regression's features.
bench_model "${model/records/logistic}" "$out" || { say "no model $model"; exit 2; }

: "${contenders:=millrace,python,transport}"
if [[ $model = records && ,$contenders = *,python* ]]; then
    say "the Python worker reads jobs, not records"
    exit 2
fi

# ---- the contenders: each starts in the background and adds to worker_pids ----

# start_NAME INPUT OUTPUT GROUP LOG INSTANCE, with $delivery. A transactional id stays the
# same from run to run, as in a deployment.
start_transport() {
    local options=(--transactional-id "bench-transport-$5")
    if [ "$delivery" = at_least_once ]; then options=(--no-transactions); fi
    "$build/transport" --bootstrap "$bootstrap" --group "$3" --input "$1" --output "$2" \
        "${options[@]}" --commit-interval-ms "$commit_interval_ms" \
        </dev/null >"$4" 2>&1 &
    worker_pids+=($!)
}

start_python() {
    local options=(--transactional-id "bench-python-$5")
    if [ "$delivery" = at_least_once ]; then options=(--at-least-once); fi
    "$venv/bin/python" "$root/tools/peer/python_worker.py" --bootstrap "$bootstrap" \
        --group "$3" --input "$1" --output "$2" --model "$file" \
        "${options[@]}" --commit-interval-ms "$commit_interval_ms" \
        --threads "$threads" </dev/null >"$4" 2>&1 &
    worker_pids+=($!)
}

# A record of an id and 30 floats, and how it becomes the model's input.
write_record_schema() { # FILE
    {
        echo '{"type": "record", "name": "Reading", "fields": [{"name": "id", "type": "string"}'
        printf ', {"name": "f%d", "type": "float"}' {0..29}
        echo ']}'
    } >"$1"
}
record_mapping() {
    if [ "$model" = records ]; then
        printf 'record = { schema = "reading.avsc"; inputs = ['
        printf ' "f%d",' {0..28}
        echo ' "f29" ]; outputs = { score = { output = "probabilities"; element = 1; }; };'
        echo " model_headers = \"$headers\"; };"
    fi
}

# FILE INPUT OUTPUT GROUP INSTANCE
write_millrace_config() {
    cat >"$1" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = {
    group = "$4";
    instance = "bench-$5";
    delivery = "$delivery";
    commit_interval_ms = $commit_interval_ms;
    threads = $threads;
};
http = { port = 0; };
models = ( { name = "$model"; path = "$file"; } );
routes = ( {
    input = "$2";
    output = "$3";
    dead_letter = "dead-letters";
    model = "$model";
    $(record_mapping)
} );
END
}

start_millrace() {
    write_millrace_config "$out/millrace-$5.conf" "$1" "$2" "$3" "$5"
    "$build/millrace" worker --config "$out/millrace-$5.conf" </dev/null >"$4" 2>&1 &
    worker_pids+=($!)
}

# CONTENDER, as --contenders names them: sets $program, $delivery and $workers.
read_contender() {
    local option options
    IFS=: read -r program options <<<"$1"
    declare -F "start_$program" >/dev/null || { say "no contender $program"; exit 2; }
    delivery=exactly_once workers=1 headers=full
    for option in ${options//:/ }; do
        case $option in
        at-least-once) delivery=at_least_once ;;
        no-headers) headers=none ;;
        workers=[1-9]) workers=${option#*=} ;;
        *) say "contender $1: no option $option"; exit 2 ;;
        esac
    done
}

# CONTENDER INPUT OUTPUT GROUP LOG
start_contender() {
    local instance delivery workers headers program
    read_contender "$1"
    worker_pids=()
    for ((instance = 1; instance <= workers; instance++)); do
        "start_$program" "$2" "$3" "$4" "$5.$instance" "$instance"
    done
}

# ---- parts of a run ----

lg() {
    local command=$1
    shift
    "$loadgen" "$command" --bootstrap "$bootstrap" "$@"
}

# The same, to be put in the background: the job's pid is then loadgen's own.
lg_exec() {
    local command=$1
    shift
    exec "$loadgen" "$command" --bootstrap "$bootstrap" "$@"
}

# The number of field $2 in the one line of JSON $1.
field() { sed -nE "s/.*\"$2\":(-?[0-9.]+).*/\1/p" <<<"$1"; }

now_us() { date +%s%6N; }

# CPU seconds that the workers have used. The command's name may hold blanks: cut it off.
cpu_seconds() {
    local pid
    for pid in "${worker_pids[@]}"; do sed 's/.*) //' "/proc/$pid/stat"; done |
        awk -v hz="$(getconf CLK_TCK)" '{ sum += $12 + $13 } END { printf "%.2f", sum / hz }'
}

peak_memory_kib() {
    local pid
    for pid in "${worker_pids[@]}"; do cat "/proc/$pid/status"; done |
        awk '/^VmHWM/ { sum += $2 } END { print sum }'
}

create_topics() {
    lg create --topic "$1" --partitions 4 >/dev/null
    # The broker's own clock on every result.
    lg create --topic "$2" --partitions 4 --config message.timestamp.type=LogAppendTime \
        >/dev/null
}

stop_workers() {
    local pid status
    kill -TERM "${worker_pids[@]}" 2>/dev/null || true
    for pid in "${worker_pids[@]}"; do
        status=0
        wait "$pid" || status=$?
        [ "$status" -eq 0 ] || die "a worker ended with status $status; see $1.*"
    done
    worker_pids=()
}

# Waits for background job $1 and fails if a worker ends before it.
await() {
    local done_pid
    wait -n -p done_pid "$1" "${worker_pids[@]}" || true
    [ "$done_pid" = "$1" ] || die "a worker ended too early; see $2.*"
}

# CONTENDER REPETITION: how fast it works through the filled topic, how soon it starts.
throughput_run() {
    local name=${1//[:=]/-}-$2-throughput
    local log=$out/$name.log output=out-$name group=group-$name
    local start cpu_first cpu_end memory first assigned end measured waiter
    lg create --topic "$output" --partitions 4 \
        --config message.timestamp.type=LogAppendTime >/dev/null
    lg_exec wait --topic jobs --group "$group" --assigned >"$out/assigned.json" &
    local assigned_pid=$!
    lg_exec measure --topic "$output" --count 1 >"$out/first.json" &
    waiter=$!
    start=$(now_us)
    start_contender "$1" jobs "$output" "$group" "$log"
    await "$waiter" "$log"
    cpu_first=$(cpu_seconds)
    first=$(<"$out/first.json")
    wait "$assigned_pid" || true
    assigned=$(<"$out/assigned.json")
    # Gives up when the time is over, which is no failure; its count tells how far it is.
    lg_exec wait --topic jobs --group "$group" --count "$jobs" \
        --timeout "$run_seconds" >"$out/end.json" &
    waiter=$!
    await "$waiter" "$log"
    cpu_end=$(cpu_seconds)
    memory=$(peak_memory_kib)
    end=$(<"$out/end.json")
    stop_workers "$log"
    measured=$(lg measure --topic "$output" --to-end --skip-seconds "$skip_seconds")
    throughput=$(field "$measured" jobs_per_s)
    cat >>"$runs" <<END
{"kind":"throughput","contender":"$1","repetition":$2,"start_us":$start,\
"assigned":$assigned,"first":$first,"end":$end,"measured":$measured,\
"cpu_first_s":$cpu_first,"cpu_end_s":$cpu_end,"memory_kib":$memory}
END
    say "$1, repetition $2: $throughput jobs/s"
    lg drop --topic "$output" >/dev/null
}

# CONTENDER REPETITION: latency at half of $throughput.
latency_run() {
    local name=${1//[:=]/-}-$2-latency rate sent measured measurer
    local log=$out/$name.log input=in-$name output=out-$name group=group-$name
    rate=$(awk -v r="$throughput" -v most="$latency_rate_max" \
        'BEGIN { r = int(r / 2); print (r > most ? most : (r < 1 ? 1 : r)) }')
    create_topics "$input" "$output"
    start_contender "$1" "$input" "$output" "$group" "$log"
    lg wait --topic "$input" --group "$group" --assigned >/dev/null
    lg_exec measure --topic "$output" --count $((rate * latency_seconds)) \
        --skip-seconds "$skip_seconds" --timeout 20 >"$out/latency.json" &
    measurer=$!
    sent=$(lg paced --topic "$input" --input "$samples" "${sends[@]}" --rate "$rate" \
        --seconds "$latency_seconds")
    await "$measurer" "$log"
    stop_workers "$log"
    measured=$(<"$out/latency.json")
    cat >>"$runs" <<END
{"kind":"latency","contender":"$1","repetition":$2,"rate":$rate,"sent":$sent,\
"measured":$measured}
END
    say "$1, repetition $2: p50 $(field "$measured" latency_p50_ms) ms," \
        "p99 $(field "$measured" latency_p99_ms) ms at $rate jobs/s"
    lg drop --topic "$input" >/dev/null
    lg drop --topic "$output" >/dev/null
}

# A new cluster first makes its internal topics, and its code is slow until compiled.
warm_up() {
    say "warming the broker up"
    lg create --topic out-warm-up --partitions 4 >/dev/null
    start_contender transport jobs out-warm-up group-warm-up "$out/warm-up.log"
    lg wait --topic jobs --group group-warm-up --count "$jobs" --timeout 60 >/dev/null ||
        die "the transport did not get through the jobs; see $out/warm-up.log"
    stop_workers "$out/warm-up.log"
    lg drop --topic out-warm-up >/dev/null
}

# ---- all of it ----

worker_pids=()
clean_up() {
    local pid
    for pid in $(jobs -p); do
        { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null || true
    done
    "$kafka" stop --dir "$out/kafka" || true
    rm -rf "$out"/kafka/node-*/data
}

IFS=, read -r -a names <<<"$contenders"
for name in "${names[@]}"; do read_contender "$name"; done
for program in "$loadgen" "$build/transport"; do
    [ -x "$program" ] || die "$program is missing: make builds it"
done
if [[ ",$contenders," = *,millrace,* ]] && [ ! -x "$build/millrace" ]; then
    die "$build/millrace is missing: make builds it"
fi
mkdir -p "$out"
: >"$runs"
venv=$("$root/tests/kafka/venv.sh")
if [ "$model" != digits ]; then
    make_bench_model
    write_record_schema "$out/reading.avsc"
fi
trap clean_up EXIT
trap 'exit 1' INT TERM
started=$("$kafka" start --dir "$out/kafka")
bootstrap=${started#bootstrap=}
say "filling a topic with $jobs jobs"
lg create --topic jobs --partitions 4 --config segment.bytes=268435456 >/dev/null
lg create --topic dead-letters --partitions 1 >/dev/null
lg fill --topic jobs --count "$jobs" --input "$samples" "${sends[@]}" >/dev/null
warm_up
for ((repetition = 1; repetition <= repetitions; repetition++)); do
    for name in "${names[@]}"; do
        throughput_run "$name" "$repetition"
        if [ "$latency_seconds" -gt 0 ]; then latency_run "$name" "$repetition"; fi
    done
done
python3 "$here/report.py" "$runs" --json "$out/$model.json" --model "$model" --jobs "$jobs" \
    --skip-seconds "$skip_seconds" --commit-interval-ms "$commit_interval_ms" \
    --threads "$threads"
