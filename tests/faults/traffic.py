"""Jobs in, outcomes out, and the judgement: every id once, where it belongs, in order."""
import io
import json
import struct
import threading
import time
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

PARTITIONS = 4
SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "inference_job.avsc"
JOB = fastavro.parse_schema(json.loads(SCHEMA.read_text()))


def job(number, ids, rows=1):
    """A job of the model `lookup`, which looks three ids up in a table of ten rows."""
    message = {"id": str(number), "inputs": [{
        "name": "ids", "dtype": "int64", "shape": [3] if rows == 1 else [rows, 3],
        "data": struct.pack("<3q", *ids) * rows}]}
    to = io.BytesIO()
    fastavro.schemaless_writer(to, JOB, message)
    return to.getvalue()


def good(number):
    return job(number, [number % 10, number // 10 % 10, 0])


def poison(number):
    """Well-formed, and fails inside the model: there is no row 99."""
    return job(number, [number % 10, 99, 0])


OVERSIZED_ROWS = 4000
OVERSIZED_LIMIT = 60000  # 24 bytes a row, so its answer is larger


def oversized(number):
    """Right in all, but its answer has no room in the topic."""
    return job(number, [number % 10, 1, 0], OVERSIZED_ROWS)


# Bytes that claim what they do not hold: Avro's lengths are zigzag varints.
BOMBS = (
    b"",
    bytes.fromhex("80808080800f"),              # an id of 16 GiB and more
    bytes.fromhex("02410000000080808080800f"),  # as many inputs
    bytes.fromhex("0241ffffffffffffffffff01"),  # a negative length
    bytes.fromhex("c3010000000000000000"),      # a fingerprint that nobody knows
    bytes.fromhex("0000000007") + b"x" * 40,    # Confluent's framing, no registry
    bytes(64),
    b"\xff" * 64,
)


def hostile(number):
    """A bomb, or a good job that is cut somewhere."""
    whole = good(number)
    turn = number // 7
    if turn % 2 == 0:
        return BOMBS[turn // 2 % len(BOMBS)]
    return whole[:turn % len(whole)]


class Mix:
    """Which job has which fate.  `bad` maps a divisor to the maker of a dead one; `dead`
    are further numbers, whose jobs look well."""

    def __init__(self, bad=None, make=good, dead=()):
        self.bad = bad if bad is not None else {97: poison}
        self.make, self.dead = make, frozenset(dead)

    def value(self, number):
        for divisor, make in self.bad.items():
            if number % divisor == 0:
                return make(number)
        return self.make(number)

    def is_dead(self, number):
        return number in self.dead or any(number % divisor == 0 for divisor in self.bad)


class Feeder(threading.Thread):
    """Produces `rate` jobs a second for `seconds`, each to the partition of its number; one
    for each partition at once, and the others when told to go on."""

    def __init__(self, bootstrap, topic, mix, rate, seconds):
        super().__init__(daemon=True)
        self.topic, self.mix, self.rate, self.seconds = topic, mix, rate, seconds
        self.count = int(rate * seconds)
        self.failed, self.go_on = [], threading.Event()
        self.sent = {}
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20,
            "log_level": 0, "delivery.timeout.ms": 300000})

    def delivered(self, error, _message):
        if error is not None:
            self.failed.append(str(error))

    def run(self):
        for number in range(PARTITIONS):
            self.send(number)
        self.producer.flush(60)
        self.go_on.wait()
        start = time.monotonic()
        for number in range(PARTITIONS, self.count):
            while time.monotonic() < start + number / self.rate:
                self.producer.poll(0.01)
            self.send(number)
        self.producer.flush(120)

    def send(self, number):
        self.sent[number] = time.monotonic()
        while True:
            try:
                self.producer.produce(self.topic, self.mix.value(number), str(number),
                                      number % PARTITIONS, on_delivery=self.delivered)
                return
            except BufferError:
                self.producer.poll(0.1)


class Stall:
    """How long nothing came of one partition."""

    def __init__(self):
        self.moved, self.longest = None, 0.0

    def move(self, now):
        if self.moved is not None:
            self.longest = max(self.longest, now - self.moved)
        self.moved = now


class Reader(threading.Thread):
    """Reads what is committed: the ids by kind, their order, and how long a partition stood
    still from its first answer on."""

    def __init__(self, bootstrap, results, dead):
        super().__init__(daemon=True)
        self.dead_topic = dead
        self.found = {"result": {}, "dead": {}}
        self.last, self.came = {}, {}
        self.disorder = []
        self.moved = time.monotonic()
        self.stalls = [Stall() for _ in range(PARTITIONS)]
        self.stopping = False
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "reader", "log_level": 0,
            "isolation.level": "read_committed", "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(topic, partition, 0)
                              for topic in (results, dead)
                              for partition in range(PARTITIONS)])

    @property
    def longest_stall(self):
        return max(stall.longest for stall in self.stalls)

    @property
    def is_everywhere(self):
        """Whether every partition has had an answer."""
        return all(stall.moved is not None for stall in self.stalls)

    @property
    def count(self):
        return len(self.found["result"]) + len(self.found["dead"])

    def run(self):
        while not self.stopping:
            for message in self.consumer.consume(1000, 0.2):
                if message.error() is None:
                    self.take(message)
        self.consumer.close()

    def take(self, message):
        now = time.monotonic()
        self.moved = now
        self.stalls[message.partition()].move(now)
        number = int(message.key())
        ids = self.found["dead" if message.topic() == self.dead_topic else "result"]
        ids[number] = ids.get(number, 0) + 1
        self.came.setdefault(number, now)
        place = (message.topic(), message.partition())
        if number <= self.last.get(place, -1) or number % PARTITIONS != message.partition():
            self.disorder.append((*place, number))
        self.last[place] = number

    def stop(self):
        self.stopping = True
        self.join()


def read_again(bootstrap, results, dead, count):
    """What a second reader finds once nothing moves: a few seconds past what is wanted."""
    reader = Reader(bootstrap, results, dead)
    reader.start()
    while time.monotonic() < reader.moved + (3 if reader.count >= count else 10):
        time.sleep(0.1)
    reader.stop()
    return reader


def judge(reader, mix, count, ordered=True, once=True):
    """What is wrong, in words; nothing if all is well."""
    wrong = []
    for kind, fate in (("result", False), ("dead", True)):
        wanted = {n for n in range(count) if mix.is_dead(n) == fate}
        found = reader.found[kind]
        doubled = [n for n, times in found.items() if times > 1]
        for what, ids in (("missing", wanted - found.keys()),
                          ("not expected", found.keys() - wanted),
                          ("doubled", doubled if once else ())):
            if ids:
                wrong.append(f"{kind}: {len(ids)} {what}, such as {sorted(ids)[:5]}")
    if ordered and reader.disorder:
        wrong.append(f"{len(reader.disorder)} out of order, such as {reader.disorder[:3]}")
    return wrong
