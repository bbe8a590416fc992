#!/bin/bash
# run.sh - ONNX's own operator tests, and models of scikit-learn: every case in passing.txt
# must pass.
#
#     tests/ops/run.sh             fails where a listed case fails
#     tests/ops/run.sh --update    writes passing.txt anew, from what passes now
#
# A case that passes and is not listed is told, so that the list follows the engine.
# MILLRACE names another program than build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

millrace=${MILLRACE:-build/millrace}
list=tests/ops/passing.txt
cases=build/ops/cases
report=build/ops/report.txt

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
    "$venv/bin/python" tests/ops/make_cases.py "$cases"
    "$venv/bin/python" tests/ops/make_sklearn_cases.py "$cases"
    echo "$stamp" >build/ops/stamp
fi

# The exit code is 1 while any case fails; the lists tell more.
"$millrace" model test "$cases"/* >"$report" 2>/dev/null || true
tail -n 1 "$report"
export LC_ALL=C # sort and comm must agree
sed -nE "s|^FAILED $cases/([^/:]+): .*|\1|p" "$report" | sort -u >build/ops/failed.txt
find "$cases" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort |
    comm -23 - build/ops/failed.txt >build/ops/passed.txt
if [ "${1:-}" = --update ]; then
    cp build/ops/passed.txt "$list"
    echo "$(wc -l <"$list") cases in $list"
    exit 0
fi

lost=$(comm -23 "$list" build/ops/passed.txt)
gained=$(comm -13 "$list" build/ops/passed.txt)
if [ -n "$gained" ]; then
    echo "pass now, and are not in $list (tests/ops/run.sh --update):"
    echo "$gained" | sed 's/^/    /'
fi
if [ -n "$lost" ]; then
    echo "must pass, and do not:"
    echo "$lost" | while read -r case; do grep "/$case: " "$report"; done
    exit 1
fi
echo "all $(wc -l <"$list") listed cases pass"
