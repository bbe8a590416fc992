#!/bin/bash
# run.sh - fetches what faults.py needs, and runs it with the arguments given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/kafka/kafka.sh fetch
# LIBRDKAFKA=newest: the workers' librdkafka; KAFKA_VERSION=4.4.0: the brokers.
if [ -n "${LIBRDKAFKA:-}" ]; then
    LD_LIBRARY_PATH=$(tests/kafka/librdkafka.sh "$LIBRDKAFKA")
    export LD_LIBRARY_PATH
fi
exec "$(tests/kafka/venv.sh)/bin/python" tests/faults/faults.py "$@"
