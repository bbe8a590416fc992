# Records by Confluent's AvroSerializer, in three schemas, one with a reference, come back
# to its AvroDeserializer with a score; what is no record does not.
source tests/lib.sh

"$millrace" registry --address-file "$work/url" >"$work/registry.log" 2>&1 &
registry=$!
background+=("$registry")
wait_until test -s "$work/url"
"${PYTHON:?}" tests/registry/interop.py --url "$(cat "$work/url")" \
    --program "$(dirname "$millrace")/score_records" >"$work/out" 2>"$work/errors"
expect '200 records came back with their score' "$work/out"
expect 'answers 404 to /schemas/ids/999' "$work/errors"
expect '1 bytes behind the record' "$work/errors"
kill -TERM "$registry"
wait "$registry"
