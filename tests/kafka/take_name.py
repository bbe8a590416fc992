"""Joins a group under the name of one of its members (group.instance.id), which fences that
one, and holds the name until it is fenced itself.  Does so TIMES times."""
import argparse
import sys
import time

from confluent_kafka import Consumer, KafkaError

PATIENCE_S = 60


def hold(consumer):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        message = consumer.poll(0.1)
        if message is not None and message.error() is not None and \
                message.error().code() in (KafkaError._FATAL,
                                           KafkaError.FENCED_INSTANCE_ID):
            return
    sys.exit(f"take_name.py: nobody has taken the name back in {PATIENCE_S} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--times", type=int, default=1)
    args = parser.parse_args()
    for number in range(args.times):
        assigned = []
        consumer = Consumer({
            "bootstrap.servers": args.bootstrap, "group.id": args.group,
            "group.instance.id": args.name, "enable.auto.commit": False,
            "partition.assignment.strategy": "range", "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500})
        consumer.subscribe([args.topic], on_assign=lambda _, list: assigned.append(list))
        hold(consumer)
        print(f"take {number + 1}: {len(assigned)} assignments, then fenced", flush=True)
        consumer.close()


main()
