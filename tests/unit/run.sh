#!/bin/bash
# run.sh - runs one program of unit tests; what it writes is shown only if it fails.
#
#     tests/unit/run.sh PROGRAM    the output stands in PROGRAM.log
set -uo pipefail
program=$1
if "./$program" >"$program.log" 2>&1; then
    echo "  ok  $program: $(grep -o 'Checks: [0-9]*' "$program.log")"
else
    printf 'FAILED %s\n%s\n' "$program" "$(cat "$program.log")"
    exit 1
fi
