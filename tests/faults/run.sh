#!/bin/bash
# run.sh - fetches what faults.py needs, and runs it with the arguments given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/kafka/kafka.sh fetch
exec "$(tests/kafka/venv.sh)/bin/python" tests/faults/faults.py "$@"
