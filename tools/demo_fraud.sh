#!/bin/bash
# demo_fraud.sh - fraud scoring on an existing Avro topic, with conf/fraud.conf.
#
#     make demo-fraud      on a throw-away broker and registry in one process each
#
# A producer as a bank has it sends 400 payments in Confluent's wire format; the worker
# answers with the records and the scores of two models, the schemas registered; a
# consumer in Python reads them and holds every score against LightGBM's and
# scikit-learn's own. Then the same payments are scored file to file.
#
# BOOTSTRAP and REGISTRY name a broker and a registry that run already; PREFIX stands
# before the names of topics and group, which must be there. Files are below WORK,
# build/demo-fraud. MILLRACE names another program than build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

millrace=${MILLRACE:-build/millrace}
work=${WORK:-build/demo-fraud}
prefix=${PREFIX:-}
delivery=exactly_once
started=()

step() { printf '\n== %s\n' "$*"; }
die() {
    echo "demo_fraud.sh: $*" >&2
    exit 1
}

cleanup() {
    local status=$? pid
    trap - EXIT
    trap '' INT TERM
    if [ "$status" -ne 0 ]; then tail -n 15 "$work"/*.log >&2 || true; fi
    for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    exit "$status"
}

# Waits until "$@" succeeds, at most 30 s.
wait_until() {
    local deadline=$((SECONDS + 30))
    until "$@"; do
        if ((SECONDS >= deadline)); then die "waited in vain: $*"; fi
        sleep 0.05
    done
}

start() { # LOG COMMAND...
    "${@:2}" >"$work/$1.log" 2>&1 &
    started+=($!)
}

[ -x "$millrace" ] || die "$millrace is not there: make demo-fraud builds it"
rm -rf "$work"
mkdir -p "$work"
trap cleanup EXIT
trap 'exit 130' INT TERM
python=$(tests/kafka/venv.sh registry)/bin/python

if [ -z "${BOOTSTRAP:-}" ]; then
    step "A throw-away broker and schema registry"
    delivery=at_least_once # this broker forgets what transactions commit
    start broker "$millrace" broker --address-file "$work/address" \
        --topics payments:2,payments.scored:2,payments.judged:2,payments.dead:1
    start registry "$millrace" registry --address-file "$work/url"
    wait_until test -s "$work/address"
    wait_until test -s "$work/url"
    BOOTSTRAP=$(<"$work/address")
    REGISTRY=$(<"$work/url")
fi
echo "broker at $BOOTSTRAP, registry at $REGISTRY"

client() { # WHAT [FLAG]...
    "$python" tools/demo_fraud.py "$1" --bootstrap "$BOOTSTRAP" --registry "$REGISTRY" \
        --topic "${prefix}payments" --scored "${prefix}payments.judged" "${@:2}"
}

step "Payments on a topic, by Confluent's serializer"
client produce

step "The worker: is its mapping right? And then its work"
config=conf/fraud.conf
if [ -n "$prefix" ]; then
    sed -E "s|\"(payments[.\"])|\"${prefix}\1|; s|\"models/|\"$PWD/conf/models/|" \
        conf/fraud.conf >"$work/fraud.conf"
    config=$work/fraud.conf
fi
export MILLRACE_KAFKA_BOOTSTRAP_SERVERS=$BOOTSTRAP MILLRACE_REGISTRY_URLS=$REGISTRY \
    MILLRACE_WORKER_GROUP=${prefix}fraud MILLRACE_WORKER_DELIVERY=$delivery \
    MILLRACE_CONSUMER_SESSION_TIMEOUT_MS=6000 MILLRACE_HTTP_PORT=0
"$millrace" worker --config "$config" --check
start worker "$millrace" worker --config "$config"
worker=$!

step "Scored payments, by Confluent's deserializer"
client consume --timeout 60
kill -TERM "$worker"
wait "$worker" || die "the worker ended with exit code $?"

step "The same payments, file to file"
models=conf/models/fraud
"$python" tools/demo_fraud.py write "$work/payments.avro"
"$millrace" score "$models/lightgbm/model.onnx" "$work/payments.avro" "$work/scored.avro" \
    --mapping conf/fraud.conf --route payments
"$millrace" score "$models/sklearn/model.onnx" "$work/scored.avro" "$work/judged.avro" \
    --mapping conf/fraud.conf --route payments.scored
"$python" tools/demo_fraud.py check "$work/judged.avro"
