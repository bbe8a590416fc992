# lib.sh - what tests on a real Kafka share besides tests/lib.sh.
# shellcheck shell=bash
source tests/lib.sh

bootstrap=${KAFKA_BOOTSTRAP:?}
python=${PYTHON:?}
prefix=$(basename "$work")-$$.
DELIVERY=exactly_once

make_topics() { # NAME:N...
    local IFS=, topics=("${@/#/$prefix}")
    "$millrace" topics --bootstrap "$bootstrap" "${topics[*]}"
}

# Kills worker $1 with -9 and starts it again, as a supervisor would.
crash_worker() { # NAME CONFIG
    kill -KILL "${worker_pid[$1]}"
    wait "${worker_pid[$1]}" 2>/dev/null || true
    launch_worker "$1" "$2"
}

# After $1 / 1000 seconds.
pause_ms() { read -rt "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" <> <(:) || true; }

# Runs the command, which sends, while the worker 1 or 2 is killed five times at random.
among_crashes() { # CONFIG COMMAND...
    local i submitting
    RANDOM=${SEED:-$$}
    echo "seed $RANDOM of SEED=${SEED:-$$}"
    "${@:2}" &
    submitting=$!
    background+=("$submitting")
    for i in 1 2 3 4 5; do
        pause_ms $((RANDOM % 1500 + 500))
        crash_worker $((RANDOM % 2 + 1)) "$1"
        echo "crash $i"
    done
    wait "$submitting"
}

submit_among_crashes() { # MODEL COUNT RATE CONFIG
    among_crashes "$4" submit "$1" "$2" --rate "$3" --key id
}
