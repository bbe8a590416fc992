"""Records in single-object encoding and bare ones, by fastavro: sent, and their answers
read back.

    framings.py schemas FOLDER                       writes the schemas that the worker reads
    framings.py send|read --bootstrap B --prefix P"""
import argparse
import io
import json
import sys
import time

import fastavro
from confluent_kafka import Consumer, Producer
from fastavro.schema import fingerprint, to_parsing_canonical_form

COUNT = 60


def record(*fields):
    return {"type": "record", "name": "Reading", "namespace": "plant", "fields": list(fields)}


def field(name, kind, **more):
    return {"name": name, "type": kind, **more}


FIRST = record(field("heat", "int"), field("sensor", "string"), field("wind", "float"))
LATER = record(field("sensor", "string"), field("speed", ["null", "float"]),
               field("heat", "double"))
# What the mapping is written for: the newer name, which was another, and a default.
READER = record(field("heat", "double"), field("speed", ["null", "float"], aliases=["wind"]))
BARE = record(field("pair", {"type": "array", "items": "float"}))
PREDICTION = {"type": "record", "name": "Prediction", "namespace": "millrace",
              "fields": [field("y", {"type": "array", "items": "float"}),
                         field("z", {"type": "array", "items": "float"})]}
ADDED = [field("score", "float"), field("minus", "float")]


def mark(schema):
    """C3 01 and the CRC-64-AVRO of the schema's canonical form, little-endian."""
    number = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return b"\xc3\x01" + bytes.fromhex(number)


def encode(schema, value):
    to = io.BytesIO()
    fastavro.schemaless_writer(to, fastavro.parse_schema(schema), value)
    return to.getvalue()


def decode(schema, data):
    at = io.BytesIO(data)
    value = fastavro.schemaless_reader(at, fastavro.parse_schema(schema), None)
    assert at.read() == b"", "nothing is behind an answer"
    return value


def reading(i):
    """(schema, value, heat, wind)"""
    if i % 2:
        speed = None if i % 3 == 0 else float(i)
        return (LATER, {"sensor": f"s{i}", "speed": speed, "heat": i / 4}, i / 4,
                -1.0 if speed is None else speed)
    return FIRST, {"heat": i, "sensor": f"s{i}", "wind": i / 2}, float(i), i / 2


def send(args):
    producer = Producer({"bootstrap.servers": args.bootstrap})
    for i in range(COUNT):
        schema, value, _, _ = reading(i)
        producer.produce(args.prefix + "marked", mark(schema) + encode(schema, value),
                         key=str(i))
        producer.produce(args.prefix + "bare", encode(BARE, {"pair": [i, -i]}), key=str(i))
    sys.exit(producer.flush(30))


def answers(args, topic):
    """value by key of all answers."""
    consumer = Consumer({"bootstrap.servers": args.bootstrap, "group.id": args.prefix + topic,
                         "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed"})
    consumer.subscribe([args.prefix + topic])
    found, until = {}, time.monotonic() + 60
    while len(found) < COUNT and time.monotonic() < until:
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            assert message.key() not in found, "each is answered once"
            found[message.key()] = message.value()
    consumer.close()
    assert len(found) == COUNT, f"{len(found)} answers on {topic}"
    return found


def read(args):
    found = answers(args, "marked.out")
    for i in range(COUNT):
        schema, value, heat, wind = reading(i)
        answer = found[str(i).encode()]
        schema = {**schema, "fields": [*schema["fields"], *ADDED]}
        assert answer[:10] == mark(schema), "the answer's own fingerprint"
        assert decode(schema, answer[10:]) == {**value, "score": heat, "minus": -wind}, i
    found = answers(args, "bare.out")
    for i in range(COUNT):
        got = decode(PREDICTION, found[str(i).encode()])
        assert got == {"y": [float(i), 0.0], "z": [-float(i), float(i)]}, got
    print(f"{2 * COUNT} records were answered in their framing")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["schemas", "send", "read"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--bootstrap")
    parser.add_argument("--prefix")
    args = parser.parse_args()
    if args.what == "schemas":
        for name, schema in (("marked/first", FIRST), ("marked/later", LATER),
                             ("reader", READER), ("bare", BARE)):
            with open(f"{args.folder}/{name}.avsc", "w", encoding="utf-8") as file:
                json.dump(schema, file)
    else:
        {"send": send, "read": read}[args.what](args)


main()
