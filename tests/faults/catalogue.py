"""The faults, one entry each: what is done while jobs flow, and what must hold besides.

A fault is called again and again until the last job was sent; then everything is healed.
To add one: a function that hurts `run`, and its line in FAULTS.
"""
import random
import signal
import subprocess
from dataclasses import dataclass, field
from typing import Callable

from traffic import Mix, hostile, poison
from workers import settle


@dataclass
class Fault:
    what: str
    hurt: Callable
    mix: Mix = field(default_factory=Mix)
    model: str = "lookup"
    workers: int = 2
    values: dict = field(default_factory=dict)       # of the worker's configuration
    environment: dict = field(default_factory=dict)  # of the workers
    also: Callable = lambda run: []                  # what is wrong besides, in words
    needs: Callable = lambda cluster: ""             # why it cannot be tried here


def worker_killed(run):
    run.workers.any().kill()
    settle(random.uniform(0.5, 2.5))


def worker_lost(run):
    """One dies in an open transaction and stays away: the others have to end it."""
    worker = run.workers.all[run.turn % len(run.workers.all)]
    worker.environment["MILLRACE_FAIL_POINT"] = "txn.commit:5"
    worker.kill()
    settle(1)
    worker.lose(10)
    settle(12)
    worker.environment.pop("MILLRACE_FAIL_POINT")
    worker.find()
    settle(3)


# Each step of a commit, and the moment after the broker has committed.
COMMIT_STEPS = ("txn.publish", "txn.offsets", "txn.commit", "txn.committed", "txn.idle")


def worker_killed_in_commit(run):
    """Both workers die at a step of the commit, a few commits after they were started."""
    step = COMMIT_STEPS[run.turn % len(COMMIT_STEPS)]
    for worker in run.workers.all:
        worker.environment["MILLRACE_FAIL_POINT"] = f"{step}:{random.randint(3, 12)}"
        worker.kill()
    settle(3)


def zombie(run):
    """Stopped past its session, so that the other takes over; then it goes on."""
    worker = run.workers.any()
    worker.signal(signal.SIGSTOP)
    settle(9)
    worker.signal(signal.SIGCONT)
    settle(4)


def broker_killed(run):
    broker = run.turn % run.cluster.brokers + 1
    run.cluster.kill(broker)
    settle(5)
    run.cluster.restart(broker)
    settle(3)


def broker_rolled(run):
    broker = run.turn % run.cluster.brokers + 1
    run.cluster.kill(broker, "TERM")
    settle(2)
    run.cluster.restart(broker)
    settle(3)


def coordinator_moves(run):
    """The leaders of the transactions' and of the offsets' partitions die in turn."""
    if run.turn % 2 == 0:
        victim = run.cluster.transaction_coordinator(
            random.choice(run.workers.transactional_ids()))
    else:
        victim = run.cluster.group_coordinator(run.workers.group)
    run.cluster.kill(victim)
    settle(6)
    run.cluster.restart(victim)
    settle(3)


def network_cut(run):
    """One broker, then all, cannot be reached."""
    brokers = list(range(1, run.cluster.brokers + 1))
    cut = brokers if run.turn % 2 else [random.choice(brokers)]
    for broker in cut:
        run.cluster.proxy.cut(broker)
    settle(5)
    for broker in cut:
        run.cluster.proxy.restore(broker)
    settle(4)


def half_open(run):
    """Connections stay up and carry nothing."""
    brokers = list(range(1, run.cluster.brokers + 1))
    hung = brokers if run.turn % 2 else [random.choice(brokers)]
    for broker in hung:
        run.cluster.proxy.hang(broker)
    settle(7)
    for broker in hung:
        run.cluster.proxy.restore(broker)
    settle(4)


def slow_broker(run):
    """Latency, and a broker that stands still for five seconds."""
    broker = random.randint(1, run.cluster.brokers)
    run.cluster.proxy.slow(broker, random.choice((0.05, 0.2)))
    settle(3)
    run.cluster.proxy.restore(broker)
    run.cluster.kill(broker, "STOP")
    settle(5)
    run.cluster.kill(broker, "CONT")
    settle(2)


def memory_is_bounded(run, limit_mib=400):
    peak = run.workers.peak_mib
    return [] if peak <= limit_mib else [f"a worker took {peak} MiB, over {limit_mib}"]


def disk_full(run):
    """The disk of one broker has no room left; the others go on, and it comes back."""
    broker = run.turn % run.cluster.brokers + 1
    data = run.cluster.folder / f"node-{broker}" / "data"
    filler = data / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1M"], check=False,
                   stderr=subprocess.DEVNULL)
    settle(6)
    filler.unlink(missing_ok=True)
    # A broker whose only disk has failed stops by itself, or cannot write until restarted.
    run.cluster.restart(broker)
    settle(3)


def needs_disks(cluster):
    return "" if cluster.disks else "mounting a small disk needs root"


def rebalance_storm(run):
    """Members come and go every two seconds, some by kill -9."""
    worker = run.workers.any()
    worker.signal(signal.SIGKILL if random.random() < 0.5 else signal.SIGTERM)
    settle(2)


def nothing(_run):
    settle(1)


def unharmed(run):
    return [] if run.workers.restarts == 0 else [
        f"{run.workers.restarts} restarts: a record harmed the worker"]


FAULTS = {
    "worker_killed": Fault("kill -9 at random", worker_killed),
    "worker_killed_in_commit": Fault("killed inside each step of a commit",
                                     worker_killed_in_commit),
    "worker_lost": Fault("killed in a transaction, and not started again", worker_lost),
    "zombie": Fault("stopped past its session, then goes on", zombie),
    "broker_killed": Fault("kill -9 of each broker in turn", broker_killed),
    "broker_rolled": Fault("clean rolling restart of the brokers", broker_rolled),
    "coordinator_moves": Fault("the transactions' and the group's coordinator killed",
                               coordinator_moves),
    "network_cut": Fault("connections cut, to one broker and to all", network_cut),
    "half_open": Fault("connections that carry nothing any more", half_open),
    "slow_broker": Fault("latency; a broker stopped for 5 s", slow_broker,
                         also=memory_is_bounded),
    "disk_full": Fault("a broker's disk is full", disk_full, needs=needs_disks),
    "rebalance_storm": Fault("members come and go every 2 s", rebalance_storm, workers=3,
                             also=memory_is_bounded),
    "random_aborts": Fault("one transaction in three is refused", nothing,
                           environment={"MILLRACE_FAIL_POINT": "txn.refused/3"}),
    "hostile_avro": Fault("bombs, and truncations of a valid job", nothing,
                          mix=Mix({7: hostile}), also=lambda run:
                          memory_is_bounded(run) + unharmed(run)),
    "poison_rows": Fault("one job in five fails inside the model", nothing,
                         mix=Mix({5: poison}), also=unharmed),
}
