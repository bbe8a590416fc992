#!/bin/bash
# run.sh - files of rows, and scoring them: held against fastavro, pandas and json.
#
#     tests/rows/run.sh [PYTEST FLAG]...    -k NAME for those whose name holds NAME
#
# MILLRACE names another program than build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "${1:-}" = --help ]; then
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi
python=$(tests/kafka/venv.sh rows)/bin/python
exec "$python" -m pytest -q -p no:cacheprovider "$@" tests/rows
