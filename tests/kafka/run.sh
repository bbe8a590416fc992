#!/bin/bash
# run.sh - whole workers on a real Apache Kafka, which it fetches and starts.
#
#     tests/kafka/run.sh [NAME]...    all tests of this folder, or those whose name holds NAME
#
# All share one broker; each has topics and a group of its own. KAFKA_BOOTSTRAP names a
# broker that runs already; it must not create topics by itself, and is restarted by none.
# MILLRACE names another program than build/millrace; LIBRDKAFKA=newest runs it with that
# librdkafka, KAFKA_VERSION=4.4.0 against that Kafka.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "${1:-}" = --help ]; then
    sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi
PYTHON=$(tests/kafka/venv.sh)/bin/python
export PYTHON
if [ -n "${LIBRDKAFKA:-}" ]; then
    LD_LIBRARY_PATH=$(tests/kafka/librdkafka.sh "$LIBRDKAFKA")
    export LD_LIBRARY_PATH
fi
if [ -z "${KAFKA_BOOTSTRAP:-}" ]; then
    dir=$PWD/build/kafka/run
    tests/kafka/kafka.sh fetch
    trap 'tests/kafka/kafka.sh stop --dir "$dir"' EXIT
    started=$(tests/kafka/kafka.sh start --dir "$dir" --set auto.create.topics.enable=false)
    export KAFKA_BOOTSTRAP=${started#bootstrap=} KAFKA_DIR=$dir
fi
tests/run.sh kafka "$@"
