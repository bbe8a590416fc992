#!/bin/bash
# run.sh - runs the tests of a folder: each test_NAME.sh proves what it is named for.
#
#     tests/run.sh FOLDER [NAME]...    all of tests/FOLDER, or those whose name holds NAME
#
# MILLRACE names another program than build/millrace, one built with a sanitizer for
# instance: any report of it fails the test. Files of a test are in FOLDER/NAME beside the
# program. AT_ONCE is how many tests run side by side: 1, and more in flow, where they mostly
# wait and each has a broker of its own.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

case ${1:-} in
'' | -*)
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [ "${1:-}" = --help ] && exit 0 || exit 2
    ;;
esac
folder=$1
shift
export MILLRACE=${MILLRACE:-build/millrace}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$PWD/tests/tsan.supp}
# A variable of the caller's must not configure the workers.
while read -r name; do unset "$name"; done < <(compgen -e | grep '^MILLRACE_')

wanted() {
    local part
    [ $# -gt 1 ] || return 0
    for part in "${@:2}"; do
        if [[ $1 == *"$part"* ]]; then return 0; fi
    done
    return 1
}

sanitizer_report() {
    grep -lE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' \
        "$1"/* 2>/dev/null
}

# Prints the verdict at once, so that those of tests side by side do not mix.
run_test() { # NAME
    local name=$1 dir=$out/$1 started=$SECONDS report test
    trap '' INT # stop_all sends TERM
    rm -rf "$dir"
    mkdir -p "$dir"
    # timeout makes a process group of the test and passes signals on to all of it.
    TEST_DIR=$dir timeout --kill-after=10 "$test_timeout_s" \
        bash "tests/$folder/test_$name.sh" </dev/null >"$dir/output.txt" 2>&1 &
    test=$!
    trap 'kill -TERM "$test"; wait "$test"; exit 1' TERM
    if wait "$test" && ! sanitizer_report "$dir" >/dev/null; then
        printf 'ok      %s (%d s)\n' "$name" $((SECONDS - started))
        return 0
    fi
    report=$(
        {
            tail -n 15 "$dir/output.txt"
            for report in $(sanitizer_report "$dir"); do head -n 40 "$report"; done
        } | sed 's/^/    /'
    )
    printf 'FAILED  %s (%d s), its files are in %s\n%s\n' "$name" $((SECONDS - started)) \
        "$dir" "$report"
    return 1
}

stop_all() {
    trap '' INT TERM
    kill -TERM "${tests[@]}" 2>/dev/null # those that are over do not mind
    wait
    exit 130
}

case $MILLRACE in
build/*) out=$(dirname "$MILLRACE")/$folder ;;
*) out=build/$folder ;;
esac
at_once=${AT_ONCE:-1}
if [ "$folder" = flow ]; then at_once=${AT_ONCE:-$((2 * $(nproc)))}; fi
test_timeout_s=900 # a test that hangs in spite of its own deadlines

failed=0 ran=0 running=0 tests=()
trap stop_all INT TERM
await_one() {
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
}
for file in tests/"$folder"/test_*.sh; do
    name=$(basename "$file" .sh)
    name=${name#test_}
    wanted "$name" "$@" || continue
    if ((running >= at_once)); then await_one; fi
    run_test "$name" &
    tests+=($!)
    running=$((running + 1)) ran=$((ran + 1))
done
while ((running > 0)); do await_one; done
echo "$folder: $((ran - failed)) of $ran passed"
[ "$failed" -eq 0 ] && [ "$ran" -gt 0 ]
