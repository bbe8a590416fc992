#!/bin/bash
# librdkafka.sh - a folder for LD_LIBRARY_PATH with another librdkafka than the system's.
#
#     tests/kafka/librdkafka.sh newest    that of the Python client in build/venv
#
# tests/kafka/run.sh and tests/faults/run.sh use it where LIBRDKAFKA=newest is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "${1:-}" != newest ]; then
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
venv=$(tests/kafka/venv.sh)
folder=$PWD/build/librdkafka-newest
rm -rf "$folder"
mkdir -p "$folder"
# The wheel's libraries have names of their own, by which they find each other.
ln -s "$venv"/lib/python3*/site-packages/confluent_kafka.libs/*.so* "$folder"
library=$(find "$folder" -name 'librdkafka*.so*' ! -name 'librdkafka++*' | head -n 1)
if [ -z "$library" ]; then
    echo "librdkafka.sh: the Python client in $venv brings no librdkafka" >&2
    exit 1
fi
ln -s "$(readlink "$library")" "$folder/librdkafka.so.1"
echo "$folder"
