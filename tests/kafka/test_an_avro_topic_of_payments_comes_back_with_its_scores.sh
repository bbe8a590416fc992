# The fraud example on a real Kafka, exactly once: Confluent's serializer writes payments,
# with nulls and in two versions of their schema; its deserializer reads them back whole,
# each once, with the scores that LightGBM and scikit-learn themselves give. What is no
# payment among them is a dead letter, untouched.
source tests/kafka/lib.sh

start_registry
make_topics payments:2 payments.scored:2 payments.judged:2 payments.dead:1
bytes '00 00000063 0261' >"$work/unknown-schema"
bytes '7b 7d' >"$work/json"
send_raw "${prefix}payments" poison-1 "$work/unknown-schema"
send_raw "${prefix}payments" poison-2 "$work/json"
BOOTSTRAP=$bootstrap REGISTRY=$registry PREFIX=$prefix WORK=$work/demo tools/demo_fraud.sh \
    >"$work/demo.txt" 2>&1 || fail "$(tail -n 20 "$work/demo.txt")"
expect '400 of 400 payments came back with both scores, 0 differ' "$work/demo.txt"
read_topic "${prefix}payments.dead" 2 '%k %S %h\n' >"$work/dead"
expect 'poison-1 7 ' "$work/dead"
expect 'schema 99' "$work/dead"
expect 'poison-2 2 ' "$work/dead"
curl -s -m 20 "$registry/subjects" >"$work/subjects"
expect "${prefix}payments.judged-value" "$work/subjects"
