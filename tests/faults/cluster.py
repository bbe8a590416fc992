"""Real Kafka brokers behind the proxy; the workers see only the proxied ports."""
import os
import random
import re
import socket
import subprocess
import time
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from proxy import Proxy

KAFKA = Path(__file__).resolve().parents[1] / "kafka" / "kafka.sh"
DISK_SIZE = "1g"
INTERNAL_PARTITIONS = 5  # of the offsets and the transactions: kafka.sh's properties


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_ports(count):
    """The first of `count` ports in a row, below those that the kernel gives to clients."""
    for _ in range(100):
        base = random.randrange(15000, 30000)
        if all(is_free(port) for port in range(base, base + count)):
            return base
    raise RuntimeError(f"found no {count} free ports in a row")


def java_hash(text):
    """String.hashCode, by which Kafka finds a transaction's or a group's coordinator."""
    value = 0
    for unit in text.encode("utf-16-be")[1::2]:  # the ids here are ASCII
        value = (value * 31 + unit) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


class Cluster:
    def __init__(self, folder, brokers, settings=()):
        self.folder, self.brokers = Path(folder), brokers
        base = free_ports(4 * brokers)
        clients, inner, proxied = base, base + brokers, base + 3 * brokers
        self.down = set()
        self.disks = self.mount_disks()
        self.proxy = Proxy({k + 1: (proxied + k, clients + k) for k in range(brokers)})
        arguments = [word for line in settings for word in ("--set", line)]
        self.kafka("start", "--brokers", str(brokers), "--port", str(base), "--advertise",
                   ",".join(str(proxied + k) for k in range(brokers)), *arguments)
        self.version = self.find_version()
        self.bootstrap = ",".join(f"127.0.0.1:{proxied + k}" for k in range(brokers))
        # The brokers' own ports: what the test itself uses, whatever the proxy does.
        self.direct = ",".join(f"127.0.0.1:{inner + k}" for k in range(brokers))
        self.admin = AdminClient({"bootstrap.servers": self.direct, "log_level": 0})

    def mount_disks(self):
        """A small disk in memory for each broker, to be filled up; none without the right."""
        disks = [self.folder / f"node-{k + 1}" / "data" for k in range(self.brokers)]
        for disk in disks:
            disk.mkdir(parents=True)
        return [disk for disk in disks if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", disk],
            stderr=subprocess.DEVNULL, check=False).returncode == 0]

    def find_version(self):
        """As the first broker says it in its log."""
        log = (self.folder / "node-1" / "server.log").read_text()
        found = re.search(r"Kafka version: (\S+)", log)
        return found[1] if found else ""

    def kafka(self, *args):
        subprocess.run([KAFKA, *args, "--dir", self.folder], check=True,
                       stdout=subprocess.DEVNULL,
                       env={"KAFKA_START_TIMEOUT_S": "300", **os.environ})

    def create_topics(self, names, partitions, config=None):
        topics = [NewTopic(name, partitions, min(3, self.brokers), config=config or {})
                  for name in names]
        deadline = time.monotonic() + 60
        while not self.try_create(topics):
            if time.monotonic() > deadline:
                raise RuntimeError(f"could not create {', '.join(names)}")

    def try_create(self, topics):
        """Whether they are there: a cluster that has just begun may refuse at first."""
        for done in self.admin.create_topics(topics, request_timeout=20).values():
            try:
                done.result(30)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    time.sleep(0.2)
                    return False
        return True

    def leader(self, topic, partition):
        metadata = self.admin.list_topics(topic, 30)
        return metadata.topics[topic].partitions[partition].leader

    def transaction_coordinator(self, transactional_id):
        return self.leader("__transaction_state",
                           java_hash(transactional_id) % INTERNAL_PARTITIONS)

    def group_coordinator(self, group):
        return self.leader("__consumer_offsets", java_hash(group) % INTERNAL_PARTITIONS)

    def kill(self, broker, signal="KILL"):
        self.kafka("kill", str(broker), "--signal", signal)
        if signal in ("KILL", "TERM"):
            self.down.add(broker)

    def restart(self, broker):
        self.kafka("restart", str(broker))
        self.down.discard(broker)

    def heal(self):
        """All links pass and all brokers run."""
        for broker in range(1, self.brokers + 1):
            self.proxy.restore(broker)
        for broker in list(self.down):
            self.restart(broker)

    def delete_topics(self, names):
        for done in self.admin.delete_topics(names).values():
            done.result(60)

    def stop(self):
        self.kafka("stop")
        for disk in self.disks:
            subprocess.run(["umount", "-l", disk], check=False)
