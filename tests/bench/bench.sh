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
  --contenders A,B,...    of millrace, python and transport (default all)
  --repetitions N         (default 3)
  --jobs N                in the input topic, 3.2 kB each (default 1000000)
  --run-seconds S         the longest throughput run (default 20)
  --skip-seconds S        of warm-up left out of every figure (default 3)
  --latency-seconds S     of each latency run; 0 for none (default 15)
  --latency-rate-max N    jobs a second (default 20000): the broker and the generator need
                          their share of this machine too
  --commit-interval-ms N  of every contender (default 100)
  --threads N             of Millrace and of ONNX Runtime (default 1)
Writes build/bench/bench.json (and one log for each run), prints a table in Markdown.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build
out=$build/bench
kafka=$root/tests/kafka/kafka.sh
loadgen=$build/loadgen
model=$root/conf/models/digits/model.onnx
samples=$root/tests/data/digits/samples.npy
runs=$out/runs.jsonl

contenders=millrace,python,transport repetitions=3 jobs=1000000 run_seconds=20
skip_seconds=3 latency_seconds=15 latency_rate_max=20000 commit_interval_ms=100 threads=1

say() { echo "bench.sh: $*" >&2; }
die() { say "$*"; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage; exit 0 ;;
    --contenders | --repetitions | --jobs | --run-seconds | --skip-seconds | \
        --latency-seconds | --latency-rate-max | --commit-interval-ms | --threads)
        [ $# -gt 1 ] || { say "$1 needs a value"; exit 2; }
        name=${1#--}
        printf -v "${name//-/_}" %s "$2"
        shift 2 ;;
    *) say "unknown argument $1"; usage >&2; exit 2 ;;
    esac
done

# ---- the contenders: each starts in the background and sets worker_pid ----

# start_NAME INPUT OUTPUT GROUP LOG. A transactional id stays the same from run to run, as
# in a deployment.
start_transport() {
    "$build/transport" --bootstrap "$bootstrap" --group "$3" --input "$1" --output "$2" \
        --transactional-id bench-transport --commit-interval-ms "$commit_interval_ms" \
        </dev/null >"$4" 2>&1 &
    worker_pid=$!
}

start_python() {
    "$venv/bin/python" "$root/tools/peer/python_worker.py" --bootstrap "$bootstrap" \
        --group "$3" --input "$1" --output "$2" --model "$model" \
        --transactional-id bench-python --commit-interval-ms "$commit_interval_ms" \
        --threads "$threads" </dev/null >"$4" 2>&1 &
    worker_pid=$!
}

# FILE INPUT OUTPUT GROUP
write_millrace_config() {
    cat >"$1" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = {
    group = "$4";
    instance = "bench";
    delivery = "exactly_once";
    commit_interval_ms = $commit_interval_ms;
    threads = $threads;
};
http = { port = 0; };
models = ( { name = "digits"; path = "$model"; } );
routes = ( {
    input = "$2";
    output = "$3";
    dead_letter = "dead-letters";
    model = "digits";
} );
END
}

start_millrace() {
    write_millrace_config "$out/millrace.conf" "$1" "$2" "$3"
    "$build/millrace" worker --config "$out/millrace.conf" </dev/null >"$4" 2>&1 &
    worker_pid=$!
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

# CPU seconds that process $1 has used. The command's name may hold blanks: cut it off.
cpu_seconds() {
    sed 's/.*) //' "/proc/$1/stat" |
        awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($12 + $13) / hz }'
}

peak_memory_kib() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status"; }

create_topics() {
    lg create --topic "$1" --partitions 4 >/dev/null
    # The broker's own clock on every result.
    lg create --topic "$2" --partitions 4 --config message.timestamp.type=LogAppendTime \
        >/dev/null
}

stop_worker() {
    local status=0
    kill -TERM "$worker_pid" 2>/dev/null || true
    wait "$worker_pid" || status=$?
    worker_pid=
    [ "$status" -eq 0 ] || die "a worker ended with status $status; see $1"
}

# Waits for background job $1 and fails if the worker ends before it.
await() {
    local done_pid
    wait -n -p done_pid "$1" "$worker_pid" || true
    [ "$done_pid" = "$1" ] || { worker_pid=; die "a worker ended too early; see $2"; }
}

# CONTENDER REPETITION: how fast it works through the filled topic, how soon it starts.
throughput_run() {
    local name=$1-$2-throughput
    local log=$out/$name.log output=out-$name group=group-$name
    local start cpu_first cpu_end memory first assigned end measured waiter
    lg create --topic "$output" --partitions 4 \
        --config message.timestamp.type=LogAppendTime >/dev/null
    lg_exec wait --topic jobs --group "$group" --assigned >"$out/assigned.json" &
    local assigned_pid=$!
    lg_exec measure --topic "$output" --count 1 >"$out/first.json" &
    waiter=$!
    start=$(now_us)
    "start_$1" jobs "$output" "$group" "$log"
    await "$waiter" "$log"
    cpu_first=$(cpu_seconds "$worker_pid")
    first=$(<"$out/first.json")
    wait "$assigned_pid" || true
    assigned=$(<"$out/assigned.json")
    # Gives up when the time is over, which is no failure; its count tells how far it is.
    lg_exec wait --topic jobs --group "$group" --count "$jobs" \
        --timeout "$run_seconds" >"$out/end.json" &
    waiter=$!
    await "$waiter" "$log"
    cpu_end=$(cpu_seconds "$worker_pid")
    memory=$(peak_memory_kib "$worker_pid")
    end=$(<"$out/end.json")
    stop_worker "$log"
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
    local name=$1-$2-latency rate sent measured measurer
    local log=$out/$name.log input=in-$name output=out-$name group=group-$name
    rate=$(awk -v r="$throughput" -v most="$latency_rate_max" \
        'BEGIN { r = int(r / 2); print (r > most ? most : (r < 1 ? 1 : r)) }')
    create_topics "$input" "$output"
    "start_$1" "$input" "$output" "$group" "$log"
    lg wait --topic "$input" --group "$group" --assigned >/dev/null
    lg_exec measure --topic "$output" --count $((rate * latency_seconds)) \
        --skip-seconds "$skip_seconds" --timeout 20 >"$out/latency.json" &
    measurer=$!
    sent=$(lg paced --topic "$input" --input "$samples" --rate "$rate" \
        --seconds "$latency_seconds")
    await "$measurer" "$log"
    stop_worker "$log"
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
    start_transport jobs out-warm-up group-warm-up "$out/warm-up.log"
    lg wait --topic jobs --group group-warm-up --count "$jobs" --timeout 60 >/dev/null ||
        die "the transport did not get through the jobs; see $out/warm-up.log"
    stop_worker "$out/warm-up.log"
    lg drop --topic out-warm-up >/dev/null
}

# ---- all of it ----

worker_pid=
clean_up() {
    local pid
    for pid in $worker_pid $(jobs -p); do
        { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null || true
    done
    "$kafka" stop --dir "$out/kafka" || true
    rm -rf "$out"/kafka/node-*/data
}

IFS=, read -r -a names <<<"$contenders"
for name in "${names[@]}"; do
    declare -F "start_$name" >/dev/null || { say "no contender $name"; exit 2; }
done
for program in "$loadgen" "$build/transport"; do
    [ -x "$program" ] || die "$program is missing: make builds it"
done
if [[ ",$contenders," = *,millrace,* ]] && [ ! -x "$build/millrace" ]; then
    die "$build/millrace is missing: make builds it"
fi
mkdir -p "$out"
: >"$runs"
venv=$("$root/tests/kafka/venv.sh")
trap clean_up EXIT
trap 'exit 1' INT TERM
started=$("$kafka" start --dir "$out/kafka")
bootstrap=${started#bootstrap=}
say "filling a topic with $jobs jobs"
lg create --topic jobs --partitions 4 --config segment.bytes=268435456 >/dev/null
lg create --topic dead-letters --partitions 1 >/dev/null
lg fill --topic jobs --count "$jobs" --input "$samples" >/dev/null
warm_up
for ((repetition = 1; repetition <= repetitions; repetition++)); do
    for name in "${names[@]}"; do
        throughput_run "$name" "$repetition"
        if [ "$latency_seconds" -gt 0 ]; then latency_run "$name" "$repetition"; fi
    done
done
python3 "$here/report.py" "$runs" --json "$out/bench.json" --jobs "$jobs" \
    --skip-seconds "$skip_seconds" --commit-interval-ms "$commit_interval_ms" \
    --threads "$threads"
