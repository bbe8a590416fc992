#!/bin/bash
# run.sh - ONNX's own operator tests, cases of what they lack, models of scikit-learn: all
# must pass but those in not_passed.txt, where each has its reason.
#
#     tests/ops/run.sh             fails where a case fails that is not listed
#     tests/ops/run.sh --update    takes cases that pass now off the list
#
# The list only gets shorter: nothing here adds to it.  MILLRACE names another program than
# build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

millrace=${MILLRACE:-build/millrace}
list=tests/ops/not_passed.txt
cases=build/ops/cases
report=build/ops/report.txt
node_count=1884 # ONNX's node cases, named test_*
case_count=2163 # all; raise it when cases are added
peer='ONNX Runtime 1.32: 1,589' # make ops-peer

case ${1:-} in
'' | --update) ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [ "$1" = --help ] && exit 0 || exit 2
    ;;
esac

mkdir -p build/ops
stamp=$(sha256sum tests/kafka/requirements.txt tests/ops/make_*.py | sha256sum)
if [ "$(cat build/ops/stamp 2>/dev/null)" != "$stamp" ]; then
    venv=$(tests/kafka/venv.sh)
    rm -rf "$cases"
    for script in tests/ops/make_*.py; do
        "$venv/bin/python" "$script" "$cases"
    done
    echo "$stamp" >build/ops/stamp
fi

fail() {
    echo "$1"
    shift
    printf '    %s\n' "$@"
    exit 1
}

# The exit code is 1 while any case fails; the lists tell more.
"$millrace" model test "$cases"/* >"$report" 2>/dev/null || true
tail -n 1 "$report"
export LC_ALL=C # sort and comm must agree
cd build/ops
find cases -mindepth 1 -maxdepth 1 -printf '%f\n' | sort >all.txt
sed -nE "s|^FAILED [^ ]*/([^/:]+): .*|\1|p; s|^FAILED ([^/: ]+): .*|\1|p" report.txt |
    sort -u >failed.txt
sed -n 's/^\([^#:]*\): .*/\1/p' "../../$list" | sort >listed.txt
cd ../..

# An empty folder, or a program that prints nothing, must not pass.
found=$(wc -l <build/ops/all.txt) nodes=$(grep -c '^test_' build/ops/all.txt || true)
failed=$(wc -l <build/ops/failed.txt)
if [ "$found" -lt "$case_count" ] || [ "$nodes" -lt "$node_count" ]; then
    fail "$cases holds $found cases, $nodes of them test_*: $case_count and $node_count are known"
fi
[ "$(tail -n 1 "$report")" = "$((found - failed)) passed, $failed failed" ] ||
    fail "the report does not tell of $found cases: see $report"

mapfile -t unknown < <(comm -23 build/ops/listed.txt build/ops/all.txt)
[ ${#unknown[@]} = 0 ] || fail "in $list, and no case:" "${unknown[@]}"
mapfile -t lost < <(comm -13 build/ops/listed.txt build/ops/failed.txt)
[ ${#lost[@]} = 0 ] ||
    fail "must pass, and do not:" "${lost[@]}" "see $report"

mapfile -t gained < <(comm -23 build/ops/listed.txt build/ops/failed.txt)
if [ ${#gained[@]} -gt 0 ] && [ "${1:-}" = --update ]; then
    for case in "${gained[@]}"; do
        sed -i "/^$case: /d" "$list"
    done
    echo "taken off $list: ${gained[*]}"
elif [ ${#gained[@]} -gt 0 ]; then
    echo "pass now, and are in $list (tests/ops/run.sh --update):"
    printf '    %s\n' "${gained[@]}"
fi
echo "node cases passed: $((nodes - $(grep -c '^test_' build/ops/failed.txt || true)))" \
    "of $nodes ($peer)"
