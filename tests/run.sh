#!/bin/bash
# run.sh - runs the tests of a folder: each test_NAME.sh proves what it is named for.
#
#     tests/run.sh FOLDER [NAME]...    all of tests/FOLDER, or those whose name holds NAME
#
# MILLRACE names another program than build/millrace, one built with a sanitizer for
# instance: any report of it fails the test. Files of a test are in build/FOLDER/NAME.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

case ${1:-} in
'' | -*)
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
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

failed=0 ran=0
for file in tests/"$folder"/test_*.sh; do
    name=$(basename "$file" .sh)
    name=${name#test_}
    wanted "$name" "$@" || continue
    dir=build/$folder/$name
    rm -rf "$dir"
    mkdir -p "$dir"
    started=$SECONDS ran=$((ran + 1))
    if TEST_DIR=$dir bash "$file" </dev/null >"$dir/output.txt" 2>&1 &&
        ! sanitizer_report "$dir" >/dev/null; then
        printf 'ok      %s (%d s)\n' "$name" $((SECONDS - started))
        continue
    fi
    failed=$((failed + 1))
    printf 'FAILED  %s (%d s), its files are in %s\n' "$name" $((SECONDS - started)) "$dir"
    tail -n 15 "$dir/output.txt" | sed 's/^/    /'
    for report in $(sanitizer_report "$dir"); do head -n 40 "$report" | sed 's/^/    /'; done
done
echo "$folder: $((ran - failed)) of $ran passed"
[ "$failed" -eq 0 ] && [ "$ran" -gt 0 ]
