#!/bin/bash
# breakdown.sh - where the time of a job goes: the worker under perf, while it works
# through a filled topic.
#
#     tests/bench/breakdown.sh [--model digits|logistic] [--jobs N] [--seconds S]
#
# CPU time is shared out by thread and by the layer whose code runs there; what libraries
# and the kernel do counts for the thread that calls them. Needs perf (Debian: linux-perf)
# and the right to use it, and what bench.sh needs.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=/dev/null
source "$here/lib.sh"
file="" samples="" # bench_model sets them
out=$root/build/breakdown
model=digits jobs=1000000 seconds=12

while [ $# -gt 0 ]; do
    case $1 in
    --model) model=$2 ;;
    --jobs) jobs=$2 ;;
    --seconds) seconds=$2 ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        [ "$1" = --help ] && exit 0 || exit 2
        ;;
    esac
    shift 2
done

bench_model "$model" "$out" || { echo "breakdown.sh: no model $model" >&2; exit 2; }
make_bench_model

worker_pid=
clean_up() {
    if [ -n "$worker_pid" ]; then kill -KILL "$worker_pid" 2>/dev/null || true; fi
    "$root/tests/kafka/kafka.sh" stop --dir "$out/kafka" || true
    rm -rf "$out"/kafka/node-*/data
}
trap clean_up EXIT
trap 'exit 1' INT TERM
mkdir -p "$out"
command -v perf >/dev/null || { echo "breakdown.sh: perf is missing: install linux-perf" >&2; exit 1; }
started=$("$root/tests/kafka/kafka.sh" start --dir "$out/kafka")
bootstrap=${started#bootstrap=}

lg() { "$root/build/loadgen" "$1" --bootstrap "$bootstrap" "${@:2}"; }

lg create --topic jobs --partitions 4 --config segment.bytes=268435456 >/dev/null
lg create --topic dead --partitions 1 >/dev/null
lg create --topic results --partitions 4 --config message.timestamp.type=LogAppendTime >/dev/null
lg fill --topic jobs --count "$jobs" --input "$samples" >/dev/null
cat >"$out/worker.conf" <<END
kafka = { bootstrap_servers = "$bootstrap"; };
worker = { group = "breakdown"; instance = "breakdown"; commit_interval_ms = 100; threads = 1; };
http = { port = 0; };
models = ( { name = "$model"; path = "$file"; } );
routes = ( { input = "jobs"; output = "results"; dead_letter = "dead"; model = "$model"; } );
END
"$root/build/millrace" worker --config "$out/worker.conf" >"$out/worker.log" 2>&1 &
worker_pid=$!
# Warm first; then count jobs and CPU time at both ends of the time under perf.
lg wait --topic jobs --group breakdown --count $((jobs / 10)) --timeout 60 >/dev/null
committed() {
    lg wait --topic jobs --group breakdown --count "$jobs" --timeout 1 | sed -nE 's/.*"committed":([0-9]+).*/\1/p'
}
ticks() { sed 's/.*) //' "/proc/$worker_pid/stat" | awk '{ print $12 + $13 }'; }

from_jobs=$(committed) from_ticks=$(ticks) from_ns=$(date +%s%N)
perf record -q -F 1999 -o "$out/perf.data" -p "$worker_pid" -- sleep "$seconds" >/dev/null 2>&1
to_jobs=$(committed) to_ticks=$(ticks) to_ns=$(date +%s%N)
perf report -i "$out/perf.data" --stdio -q -F overhead,comm,dso,sym -t '|' 2>/dev/null \
    >"$out/report.txt"
python3 "$here/breakdown.py" --report "$out/report.txt" --libs "$root/build/lib" \
    --jobs $((to_jobs - from_jobs)) --wall-ns $((to_ns - from_ns)) \
    --cpu-s "$(awk -v t=$((to_ticks - from_ticks)) -v hz="$(getconf CLK_TCK)" 'BEGIN { print t / hz }')"
kill -TERM "$worker_pid"
wait "$worker_pid" || true
worker_pid=
