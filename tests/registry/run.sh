#!/bin/bash
# run.sh - the schema registry's client and stand-in against Confluent's Python client.
#
#     tests/registry/run.sh [NAME]...    all tests of this folder, or those whose name holds NAME
#
# MILLRACE names another program than build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "${1:-}" = --help ]; then
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi
PYTHON=$(tests/kafka/venv.sh registry)/bin/python
export PYTHON
tests/run.sh registry "$@"
