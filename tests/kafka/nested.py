"""Records as shops have them, by Confluent's serializers: nested, with a schema that refers
to another subject's, arrays of any length, maps, decimals, enums and nulls.

    nested.py send|read --bootstrap B --registry URL --prefix P"""
import argparse
import contextlib
import decimal
import io
import json
import sys
import time

with contextlib.redirect_stderr(io.StringIO()):  # their dependencies warn
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

COUNT = 50
CUSTOMER = {"type": "record", "name": "Customer", "namespace": "shop", "fields": [
    {"name": "age", "type": ["null", "int"], "default": None},
    {"name": "kind", "type": {"type": "enum", "name": "Kind",
                              "symbols": ["NEW", "REGULAR", "GOLD"]}},
    {"name": "address", "type": {"type": "record", "name": "Address", "fields": [
        {"name": "zip", "type": "int"}]}}]}
LINE = {"type": "record", "name": "Line", "namespace": "shop", "fields": [
    {"name": "price", "type": "float"}, {"name": "quantity", "type": "int"}]}
ORDER = {"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"},
    {"name": "total", "type": {"type": "bytes", "logicalType": "decimal",
                               "precision": 12, "scale": 2}},
    {"name": "customer", "type": ["null", "shop.Customer"]},
    {"name": "lines", "type": {"type": "array", "items": LINE}},
    {"name": "attrs", "type": {"type": "map", "values": "double"}}]}


def order(i):
    return {"id": f"order-{i}", "total": decimal.Decimal(i * 125) / 100,
            "customer": None if i % 7 == 0 else
            {"age": None if i % 5 == 0 else 20 + i, "kind": ["NEW", "REGULAR", "GOLD"][i % 3],
             "address": {"zip": 8000 + i}},
            "lines": [{"price": k + i / 4, "quantity": k} for k in range(1, 2 + i % 4)],
            "attrs": {} if i % 2 else {"risk.level": i / 8}}


def expected(i):
    """What the two mappings and models make of an order."""
    record = order(i)
    age = (record["customer"] or {}).get("age")
    return {"total": float(record["total"]), "age": -1.0 if age is None else float(age),
            "risk": record["attrs"].get("risk.level", -2.0),
            "kind": ["NEW", "REGULAR", "GOLD"].index(record["customer"]["kind"])
            if record["customer"] else 0.0,
            "sums": [line["price"] + line["quantity"] for line in record["lines"]]}


def send(args, registry):
    registry.register_schema("shop.Customer", Schema(json.dumps(CUSTOMER), "AVRO"))
    reference = [SchemaReference("shop.Customer", "shop.Customer", 1)]
    serialize = AvroSerializer(registry, Schema(json.dumps(ORDER), "AVRO", reference))
    producer = Producer({"bootstrap.servers": args.bootstrap})
    for topic in ("flat", "lists"):
        context = SerializationContext(args.prefix + topic, MessageField.VALUE)
        for i in range(COUNT):
            producer.produce(args.prefix + topic, serialize(order(i), context), key=str(i))
    sys.exit(producer.flush(30))


def answers(args, registry, topic):
    consumer = Consumer({"bootstrap.servers": args.bootstrap, "group.id": args.prefix + topic,
                         "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed"})
    consumer.subscribe([args.prefix + topic])
    deserialize = AvroDeserializer(registry)
    context = SerializationContext(args.prefix + topic, MessageField.VALUE)
    found, until = {}, time.monotonic() + 60
    while len(found) < COUNT and time.monotonic() < until:
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            found[int(message.key())] = deserialize(message.value(), context)
    consumer.close()
    assert len(found) == COUNT, f"{len(found)} answers on {topic}"
    return found


def read(args, registry):
    for i, record in answers(args, registry, "flat.out").items():
        want = expected(i)
        got = [record.pop(name) for name in ("first", "second", "third", "fourth")]
        assert record == order(i), record
        assert got == [want["total"], want["age"], want["risk"], want["kind"]], (i, got)
    for i, record in answers(args, registry, "lists.out").items():
        assert record.pop("sums") == expected(i)["sums"], (i, record)
        assert record == order(i), record
    print(f"{2 * COUNT} nested records came back whole")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["send", "read"])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--prefix", required=True)
    args = parser.parse_args()
    {"send": send, "read": read}[args.what](args, SchemaRegistryClient({"url": args.registry}))


main()
