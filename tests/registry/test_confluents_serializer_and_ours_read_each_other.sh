# Records by Confluent's AvroSerializer, in three schemas, one with a reference, come back
# to its AvroDeserializer with a score; what is no record does not.
source tests/lib.sh

start_registry
"${PYTHON:?}" tests/registry/interop.py --url "$registry" \
    --program "$(dirname "$millrace")/score_records" >"$work/out" 2>"$work/errors"
expect '200 records came back with their score' "$work/out"
expect 'answers 404 to /schemas/ids/999' "$work/errors"
expect '1 bytes behind the record' "$work/errors"
kill -TERM "$registry_pid"
wait "$registry_pid" || [ -n "${APICURIO:-}" ] # Java ends by the signal
