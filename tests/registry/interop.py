"""Records by Confluent's AvroSerializer go through score_records and come back to its
AvroDeserializer: the same records, with the right score, whichever schema wrote them."""
import argparse
import datetime
import struct
import subprocess
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry import record_subject_name_strategy
from confluent_kafka.serialization import MessageField, SerializationContext

CUSTOMER = """{"type": "record", "name": "Customer", "namespace": "shop", "fields": [
    {"name": "age", "type": ["null", "int"], "default": null},
    {"name": "country", "type": {"type": "enum", "name": "Country", "symbols": ["CH", "DE"]}}]}"""
ORDER = """{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"}, {"name": "amount", "type": "double"},
    {"name": "customer", "type": %s},
    {"name": "tags", "default": {},
     "type": {"type": "map", "values": {"type": "array", "items": "long"}}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"""
EVOLVED = """{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "amount", "type": "double"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "customer", "type": %s}, {"name": "id", "type": "string"}]}"""
COUNT = 200


def order(i, evolved):
    at = datetime.datetime(2024, 5, 1, i % 24, 30, tzinfo=datetime.timezone.utc)
    record = {"id": f"order-{i}", "amount": i * 1.25, "at": at,
              "customer": {"age": None if i % 3 == 0 else 20 + i,
                           "country": ["CH", "DE"][i % 2]}}
    if evolved:
        record["note"] = None if i % 4 else "a note"
    else:
        record["tags"] = {f"t{k}": list(range(k)) for k in range(i % 4)}
    return record


def score(record, hashes):
    age = record["customer"]["age"]
    return (record["amount"] + (-1 if age is None else age) + record["at"].hour
            + hashes[record["customer"]["country"]])


def murmur3(data):
    """MurmurHash3, x86, 32 bits, as scikit-learn has it; here for two letters alone."""
    k = int.from_bytes(data, "little")
    k = k * 0xCC9E2D51 % 2**32
    k = (k << 15 | k >> 17) % 2**32
    h = k * 0x1B873593 % 2**32 ^ len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
    h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
    return h ^ h >> 16


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--program", required=True)
    args = parser.parse_args()
    hashes = {c: murmur3(c.encode()) % 1000 for c in ("CH", "DE")}
    client = SchemaRegistryClient({"url": args.url})
    context = SerializationContext("orders", MessageField.VALUE)
    client.register_schema("shop.Customer", Schema(CUSTOMER, "AVRO"))
    reference = [SchemaReference("shop.Customer", "shop.Customer", 1)]
    serializers = [
        (AvroSerializer(client, ORDER % CUSTOMER), False),
        (AvroSerializer(client, EVOLVED % CUSTOMER), True),
        (AvroSerializer(client, Schema(ORDER % '"Customer"', "AVRO", reference),
                        conf={"subject.name.strategy": record_subject_name_strategy}), False),
    ]
    records, messages = [], []
    for i in range(COUNT):
        serializer, evolved = serializers[i % 3]
        records.append(order(i, evolved))
        messages.append(serializer(records[-1], context))
    broken = [b"", b"\0\0\0\0", b"\0\0\0\3\xe7x", messages[0][:-1], messages[1] + b"x"]
    sent = b"".join(struct.pack("<I", len(m)) + m for m in messages + broken)
    done = subprocess.run([args.program, args.url, "orders-scored-value"], input=sent,
                          capture_output=True, check=False)
    sys.stderr.write(done.stderr.decode())
    assert done.returncode == 0, done.returncode
    answers, at = [], 0
    while at < len(done.stdout):
        size = struct.unpack_from("<I", done.stdout, at)[0]
        answers.append(done.stdout[at + 4:at + 4 + size])
        at += 4 + size
    assert len(answers) == COUNT + len(broken), len(answers)
    assert answers[COUNT:] == [b""] * len(broken)
    deserializer = AvroDeserializer(client)
    for i, (record, answer) in enumerate(zip(records, answers)):
        got = deserializer(answer, context)
        assert abs(got.pop("score") - score(record, hashes)) < 1e-9, i
        assert got == record, (got, record)
        assert answer[5:].startswith(messages[i][5:]), "the record's bytes are the same"
    subjects = client.get_subjects()
    assert "orders-scored-value" in subjects and "shop.Order" in subjects, subjects
    print(f"{COUNT} records came back with their score")


main()
