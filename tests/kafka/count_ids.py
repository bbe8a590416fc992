"""Counts the ids in a topic of results with another client, read_committed: each of
PREFIX000000 to PREFIX(COUNT-1) must be there exactly once."""
import argparse
import collections
import io
import json
import pathlib
import sys

import fastavro
from confluent_kafka import Consumer, TopicPartition

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schemas" / "inference_result.avsc"


def committed_values(bootstrap, topic):
    """Every value that stands in the topic now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "count-ids",
                         "enable.auto.commit": False, "isolation.level": "read_committed",
                         "enable.partition.eof": True})
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    left = len(partitions)
    while left > 0:
        message = consumer.poll(30)
        if message is None:
            sys.exit("count_ids.py: no record and no end within 30 s")
        if message.error() is None:
            yield message.value()
        elif message.error().name() == "_PARTITION_EOF":
            left -= 1
        else:
            sys.exit(f"count_ids.py: {message.error()}")
    consumer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--count", type=int, required=True)
    args = parser.parse_args()
    schema = fastavro.parse_schema(json.loads(SCHEMA.read_text()))
    seen = collections.Counter(
        fastavro.schemaless_reader(io.BytesIO(value), schema)["id"]
        for value in committed_values(args.bootstrap, args.topic))
    wanted = {f"{args.prefix}{number:06d}" for number in range(args.count)}
    missing, strange = wanted - seen.keys(), seen.keys() - wanted
    double = [name for name, times in seen.items() if times > 1]
    print(f"{sum(seen.values())} records, {len(missing)} ids missing, {len(double)} more "
          f"than once, {len(strange)} unknown")
    if missing or double or strange:
        sys.exit(f"count_ids.py: {sorted(missing)[:5]} {sorted(double)[:5]} "
                 f"{sorted(strange)[:5]}")


main()
