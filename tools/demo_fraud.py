"""The producer and the consumer of the fraud example, with Confluent's own serializers:
what a bank has already, and what it reads the scores with.

    demo_fraud.py produce --bootstrap B --registry URL      payments to the topic
    demo_fraud.py consume --bootstrap B --registry URL      scored ones from the last topic
    demo_fraud.py write FILE.avro                           the payments to a file
    demo_fraud.py check FILE.avro                           scored ones from a file

The first half of the payments is written with one schema and the rest with its next
version, as topics go.  `consume` waits for every payment, prints the most suspicious ones
and holds each score against the one that LightGBM and scikit-learn gave in Python
(tests/data/fraud/payments.jsonl).  It ends with 1 where one is missing or differs."""
import argparse
import contextlib
import io
import json
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import fastavro

# The serializers' own dependencies warn, whoever asks them not to.
with contextlib.redirect_stderr(io.StringIO()):
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

ROOT = Path(__file__).resolve().parents[1]
TOLERANCE = 1e-5  # the models compute in float32
AT = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
FIELDS = [
    {"name": "payment_id", "type": "string"}, AT, {"name": "amount", "type": "double"},
    {"name": "mean_amount_30d", "type": "double"}, {"name": "payments_24h", "type": "int"},
    {"name": "account_days", "type": "int"},
    {"name": "customer_age", "type": ["null", "int"], "default": None},
    {"name": "km_from_home", "type": ["null", "int"], "default": None},
    {"name": "card_present", "type": "boolean"}, {"name": "category", "type": "string"},
    {"name": "country", "type": "string"},
]
CHANNEL = {"name": "channel", "type": "string", "default": "shop"}


def schema(fields):
    return json.dumps({"type": "record", "name": "Payment", "namespace": "bank",
                       "fields": fields})


def read_payments():
    with open(ROOT / "tests/data/fraud/payments.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def produce(args, registry, payments):
    context = SerializationContext(args.topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": args.bootstrap})
    first = AvroSerializer(registry, schema(FIELDS))
    evolved = AvroSerializer(registry, schema([CHANNEL, *FIELDS]))
    for i, item in enumerate(payments):
        record = dict(item["payment"])
        record["at"] = datetime.fromtimestamp(record["at"] / 1000, timezone.utc)
        serialize = first
        if 2 * i >= len(payments):
            serialize = evolved
            record["channel"] = "web" if i % 2 else "shop"
        producer.produce(args.topic, serialize(record, context), key=record["payment_id"],
                         headers={"origin": "demo"})
    if producer.flush(30) > 0:
        sys.exit("demo_fraud.py: the broker did not take all payments")
    print(f"{len(payments)} payments sent, in two versions of their schema")


def write(path, payments):
    with open(path, "wb") as file:
        fastavro.writer(file, json.loads(schema(FIELDS)), [item["payment"] for item in payments],
                        codec="deflate")
    print(f"{len(payments)} payments in {path}")


def read_scored(path):
    with open(path, "rb") as file:
        return {record["payment_id"]: record for record in fastavro.reader(file)}


def poll_scored(args, registry, count):
    context = SerializationContext(args.scored, MessageField.VALUE)
    deserialize = AvroDeserializer(registry)
    consumer = Consumer({"bootstrap.servers": args.bootstrap, "group.id": "fraud-reader",
                         "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed"})
    consumer.subscribe([args.scored])
    until = time.monotonic() + args.timeout
    found = {}
    while len(found) < count and time.monotonic() < until:
        message = consumer.poll(0.5)
        if message is None or message.error():
            continue
        record = deserialize(message.value(), context)
        assert message.key().decode() == record["payment_id"], "keys pass through"
        assert ("origin", b"demo") in message.headers(), "headers pass through"
        assert ("millrace.model", b"sklearn") in message.headers(), "who judged it last"
        assert record["payment_id"] not in found, "each payment is scored once"
        found[record["payment_id"]] = record
    consumer.close()
    return found


def differences(item, record):
    """What is not as it was sent, or as the libraries score it."""
    sent = item["payment"]
    got = {name: record[name] for name in sent}
    got["at"] = round(got["at"].timestamp() * 1000)
    if got != sent:
        yield "the record"
    for field, library in (("score", "lightgbm"), ("second_opinion", "sklearn")):
        if abs(record[field] - item[library]) > TOLERANCE:
            yield f"{field} {record[field]}, which {library} has as {item[library]}"
    if record["verdict"] != ("suspicious" if record["second_opinion"] > 0.5 else "fine"):
        yield "the verdict"


def judge(found, payments):
    wrong = 0
    for item in payments:
        record = found.get(item["payment"]["payment_id"])
        for what in ["no answer"] if record is None else differences(item, record):
            print(f"{item['payment']['payment_id']}: {what}", file=sys.stderr)
            wrong += 1
    print("payment     amount  score  second opinion")
    for record in sorted(found.values(), key=lambda r: -r["score"])[:5]:
        print(f"{record['payment_id']} {record['amount']:9.2f} {record['score']:6.3f} "
              f"{record['second_opinion']:6.3f} {record['verdict']}")
    print(f"{len(found)} of {len(payments)} payments came back with both scores, "
          f"{wrong} differ from LightGBM's and scikit-learn's own")
    sys.exit(1 if wrong else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["produce", "consume", "write", "check"])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--bootstrap")
    parser.add_argument("--registry")
    parser.add_argument("--topic", default="payments")
    parser.add_argument("--scored", default="payments.judged")
    parser.add_argument("--timeout", type=float, default=60)
    args = parser.parse_args()
    payments = read_payments()
    if args.what == "write":
        write(args.file, payments)
    elif args.what == "check":
        judge(read_scored(args.file), payments)
    elif args.what == "produce":
        produce(args, SchemaRegistryClient({"url": args.registry}), payments)
    else:
        registry = SchemaRegistryClient({"url": args.registry})
        judge(poll_scored(args, registry, len(payments)), payments)


main()
