#!/bin/bash
# run.sh - every model of models.tsv answers as ONNX Runtime does, however its rows come.
#
#     tests/models/run.sh [NAME]...    all, or those named
#
# MILLRACE names another program than build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case ${1:-} in
-*)
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [ "$1" = --help ] && exit 0 || exit 2
    ;;
esac

tests/models/make.sh "$@"
names=("$@")
if [ $# -eq 0 ]; then
    mapfile -t names < <(awk -F'\t' '!/^#/ && $1 != "name" { print $1 }' tests/models/models.tsv)
fi
exec "${MILLRACE:-build/millrace}" model test --timeout 600 --batching 0 \
    "${names[@]/#/build/models/}"
