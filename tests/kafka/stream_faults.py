#!/usr/bin/env python3
"""stream_faults.py - hurts workers and brokers while records flow, and counts the answers.

Starts brokers with kafka.sh, runs two echo workers (tests/kafka/echo.c) under a supervisor
that starts a dead one again, produces records with unique ids, and causes faults meanwhile.
At the end, a read_committed reader must find every id exactly once, as a result or as a
dead letter, in order per partition; and answers must never have stood still for 60 s.

usage: stream_faults.py --echo PROGRAM [--faults NAME,...] [--count N] [--delivery D]
"""
import argparse
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

HERE = os.path.dirname(os.path.abspath(__file__))
KAFKA = os.path.join(HERE, "kafka.sh")
PARTITIONS = 4
STALL_S = 60
DEAD_EVERY = 97


def say(text):
    print(f"stream_faults: {text}", file=sys.stderr, flush=True)


class Cluster:
    def __init__(self, folder, brokers):
        self.folder, self.brokers = folder, brokers
        line = self.run("start", "--brokers", str(brokers))
        self.bootstrap = line.strip().split("bootstrap=")[-1]

    def run(self, *args):
        return subprocess.run(
            [KAFKA, *args, "--dir", self.folder], check=True, text=True,
            stdout=subprocess.PIPE).stdout

    def create(self, names):
        replicas = min(3, self.brokers)
        topics = [NewTopic(n, PARTITIONS, replicas) for n in names]
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for done in admin.create_topics(topics).values():
            done.result()


class Worker:
    """A worker that is started again when it ends, as a supervisor would."""

    def __init__(self, name, args, log):
        self.name, self.args, self.log = name, args, log
        self.stopping = False
        self.exits = []
        self.paused_until = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.args, stdout=self.log, stderr=self.log)

    def keep(self):
        if self.process.poll() is not None and not self.stopping:
            self.exits.append(self.process.returncode)
            self.start()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.stopping = True
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        return self.process.wait(60)


class Reader(threading.Thread):
    """Reads what is committed and keeps the ids; by partition, to see their order."""

    def __init__(self, bootstrap, topics):
        super().__init__(daemon=True)
        self.ids = {}
        self.last = {}
        self.disorder = []
        self.moved = time.monotonic()
        self.longest_stall = 0
        self.stopping = False
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "reader",
            "isolation.level": "read_committed", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "log_level": 0})
        self.consumer.assign([TopicPartition(t, p, 0) for t in topics
                              for p in range(PARTITIONS)])

    def run(self):
        while not self.stopping:
            for message in self.consumer.consume(1000, 0.2):
                if message.error() is None:
                    self.take(message)
        self.consumer.close()

    def take(self, message):
        now = time.monotonic()
        self.longest_stall = max(self.longest_stall, now - self.moved)
        self.moved = now
        number = int(message.key())
        self.ids[number] = self.ids.get(number, 0) + 1
        place = (message.topic(), message.partition())
        if number <= self.last.get(place, -1):
            self.disorder.append((place, number))
        if number % PARTITIONS != message.partition():
            self.disorder.append((place, number))
        self.last[place] = number


class Feeder(threading.Thread):
    def __init__(self, bootstrap, topic, count, seconds):
        super().__init__(daemon=True)
        self.producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20,
            "log_level": 0, "delivery.timeout.ms": 300000})
        self.topic, self.count, self.seconds = topic, count, seconds

    def run(self):
        start = time.monotonic()
        for i in range(self.count):
            while time.monotonic() - start < self.seconds * i / self.count:
                self.producer.poll(0.01)
            kind = "dead" if i % DEAD_EVERY == 0 else "live"
            while True:
                try:
                    self.producer.produce(self.topic, f"{kind}-{i}-".ljust(200, "x"),
                                          str(i), i % PARTITIONS)
                    break
                except BufferError:
                    self.producer.poll(0.1)
        self.producer.flush(120)


# ---- faults: each is called every now and then while records flow ----

def fault_kill(workers, cluster, state):
    """A worker dies at a random moment."""
    random.choice(workers).kill()
    time.sleep(random.uniform(0.5, 3))


def fault_zombie(workers, cluster, state):
    """A worker stops past its session's timeout, and comes back."""
    worker = random.choice(workers)
    worker.process.send_signal(signal.SIGSTOP)
    time.sleep(9)
    worker.process.send_signal(signal.SIGCONT)
    time.sleep(5)


def fault_storm(workers, cluster, state):
    """Members join and leave every two seconds, some by kill -9."""
    if random.random() < 0.5:
        workers[0].kill()
    else:
        workers[0].process.terminate()
    time.sleep(2)


def fault_broker(workers, cluster, state):
    """A broker dies, and comes back."""
    state["broker"] = state.get("broker", 0) % cluster.brokers + 1
    say(f"broker {state['broker']} is killed")
    cluster.run("kill", str(state["broker"]))
    time.sleep(8)
    cluster.run("restart", str(state["broker"]))
    time.sleep(4)


def fault_freeze(workers, cluster, state):
    """A broker stands still for five seconds."""
    broker = str(random.randint(1, cluster.brokers))
    cluster.run("kill", broker, "--signal", "STOP")
    time.sleep(5)
    cluster.run("kill", broker, "--signal", "CONT")
    time.sleep(3)


FAULTS = {
    "kill": fault_kill, "zombie": fault_zombie, "storm": fault_storm,
    "broker": fault_broker, "freeze": fault_freeze,
}


def judge(reader, count, delivery):
    """What is wrong, in words; an empty list if nothing is."""
    wrong = []
    missing = [i for i in range(count) if i not in reader.ids]
    doubled = [i for i, n in reader.ids.items() if n > 1]
    if missing:
        wrong.append(f"{len(missing)} missing, the first {missing[:5]}")
    if delivery == "exactly_once":
        if doubled:
            wrong.append(f"{len(doubled)} doubled, the first {doubled[:5]}")
        if reader.disorder:
            wrong.append(f"{len(reader.disorder)} out of order: {reader.disorder[:5]}")
    if reader.longest_stall > STALL_S:
        wrong.append(f"stood still for {reader.longest_stall:.0f} s")
    return wrong


def run_fault(cluster, name, options, folder):
    topics = [f"{name}-in", f"{name}-out", f"{name}-dead"]
    cluster.create(topics)
    args = shlex.split(options.echo) + [
        "--bootstrap", cluster.bootstrap, "--group", name, "--input", topics[0],
        "--output", topics[1], "--dead-letter", topics[2], "--result-size", "200",
        "--set", "session.timeout.ms=6000", "--watchdog-s", "20"]
    if options.delivery == "at_least_once":
        args.append("--at-least-once")
    log = open(os.path.join(folder, f"{name}.log"), "wb")
    reader = Reader(cluster.bootstrap, topics[1:])
    reader.start()
    feeder = Feeder(cluster.bootstrap, topics[0], options.count, options.seconds)
    feeder.start()
    workers = [Worker(f"w{i}", args, log) for i in range(2)]
    keeping = threading.Event()

    def keep():
        while not keeping.wait(0.2):
            for worker in workers:
                worker.keep()

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    state = {}
    while feeder.is_alive():
        FAULTS[name](workers, cluster, state)
    deadline = time.monotonic() + 90
    while len(reader.ids) < options.count and time.monotonic() < deadline:
        time.sleep(0.2)
    keeping.set()
    keeper.join()
    codes = [worker.stop() for worker in workers]
    reader.stopping = True
    reader.join()
    # Once more from the start, now that nothing moves.
    again = Reader(cluster.bootstrap, topics[1:])
    again.start()
    quiet = time.monotonic() + 5
    while time.monotonic() < quiet:
        time.sleep(0.2)
        quiet = max(quiet, again.moved + 3)
    again.stopping = True
    again.join()
    again.longest_stall = reader.longest_stall
    wrong = judge(again, options.count, options.delivery)
    if reader.ids != again.ids:
        wrong.append("the reader during the faults saw something else")
    exits = [code for worker in workers for code in worker.exits]
    if any(code not in (0, 75, -signal.SIGKILL) for code in exits + codes):
        wrong.append(f"a worker ended badly: {exits + codes}")
    print(json.dumps({"fault": name, "delivery": options.delivery, "ids": len(again.ids),
                      "messages": sum(again.ids.values()), "restarts": len(exits),
                      "longest_stall_s": round(reader.longest_stall, 1),
                      "wrong": wrong}), flush=True)
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--echo", required=True, help="the program, with options if need be")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seconds", type=float, default=40, help="of feeding")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--delivery", default="exactly_once",
                        choices=["exactly_once", "at_least_once"])
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory(prefix="millrace-faults-") as folder:
        cluster = Cluster(os.path.join(folder, "kafka"), options.brokers)
        try:
            good = [run_fault(cluster, name, options, folder)
                    for name in options.faults.split(",")]
        finally:
            cluster.run("stop")
            if os.environ.get("KEEP_LOGS"):
                os.system(f"cp {shlex.quote(folder)}/*.log {os.environ['KEEP_LOGS']}")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
