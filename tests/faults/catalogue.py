"""The faults, one entry each: what is done while jobs flow, and what must hold besides.

A fault is called again and again until the last job was sent; then everything is healed.
To add one: a function that hurts `run`, and its line in FAULTS.
"""
import io
import random
import signal
import struct
import subprocess
from dataclasses import dataclass, field
from typing import Callable

import fastavro

from registry import Registry
from traffic import OVERSIZED_LIMIT, Mix, hostile, oversized, poison
from workers import MILLRACE, ROOT, settle


@dataclass
class Fault:
    what: str
    hurt: Callable
    mix: Mix = field(default_factory=Mix)
    model: str = "lookup"
    workers: int = 2
    values: dict = field(default_factory=dict)       # of the worker's configuration
    environment: dict = field(default_factory=dict)  # of the workers
    output_config: dict = field(default_factory=dict)  # of the topic of results
    delivery: str = ""    # always this one
    ordered: bool = True  # results come in the order of their jobs
    ends: tuple = ()      # of workers, that this fault is to cause
    prepare: Callable = lambda run: {}  # before the workers start; more values
    heal: Callable = lambda run: None
    also: Callable = lambda run: []                  # what is wrong besides, in words
    needs: Callable = lambda cluster: ""             # why it cannot be tried here


def worker_killed(run):
    run.workers.any().kill()
    settle(random.uniform(1, 5))


def worker_lost(run):
    """One dies in an open transaction and stays away: the others have to end it."""
    worker = run.workers.all[run.turn % len(run.workers.all)]
    worker.environment["MILLRACE_FAIL_POINT"] = "txn.commit:5"
    worker.kill()
    settle(1)
    worker.lose(10)
    settle(12)
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
    if run.turn % 2 == 0 and run.delivery == "exactly_once":
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


KILLER = 2000  # the number of the job that ends each process that computes it


def killer_alone_is_dead(run):
    condemned = {(event["topic"], event["partition"], event["offset"])
                 for event in run.workers.events("record_condemned")}
    return [] if len(condemned) == 1 else [f"{len(condemned)} records were condemned"]


SLOW = 2000  # the number of the job whose batch takes longer than max.poll.interval.ms


def nobody_was_evicted(run):
    late = run.workers.events("max_poll_interval_exceeded")
    came = run.reader.came.get(SLOW, 0) - run.feeder.sent[SLOW]
    return ([f"{len(late)} times the consumer was not polled"] if late else []) + \
        ([f"the slow job took {came:.1f} s: it was not slow"] if came < 10 else [])


# ---- the wall clock ----

CLOCK_JUMP = ROOT / "build/tests/faults/clock_jump.so"
JUMPS_MIN = (30, -30, 0)  # minutes: more, and brokers refuse the records' timestamps
RETRY_DELAY_S = 3


def set_clock(run, minutes):
    run.clock.write_bytes(struct.pack("<q", minutes * 60000))


def move_clock(run):
    """The time of day of all workers jumps half an hour ahead, an hour back, and home."""
    minutes = JUMPS_MIN[run.turn % len(JUMPS_MIN)]
    with open(run.clock, "r+b") as file:
        file.write(struct.pack("<q", minutes * 60000))
    settle(2.5)


def give_clock(run):
    run.clock = run.folder / "clock"
    set_clock(run, 0)
    run.environment.update(LD_PRELOAD=str(CLOCK_JUMP), CLOCK_JUMP_FILE=str(run.clock))
    return {}


def retries_kept_their_time(run):
    """Each job failed once: its answer comes after the delay, and not long after."""
    took = [came - run.feeder.sent[number] for number, came in run.reader.came.items()
            if not run.mix.is_dead(number)]
    if not took:
        return ["no retry came"]
    wrong = [f"a retry came {min(took):.2f} s after its job"] \
        if min(took) < RETRY_DELAY_S else []
    if max(took) > RETRY_DELAY_S + run.options.patience / 2:
        wrong.append(f"a retry came {max(took):.0f} s after its job")
    back = len(run.workers.events("clock_set_back"))
    if run.turn >= 2 and back != run.workers.restarts:
        wrong.append(f"{run.workers.restarts} restarts, {back} for the clock")
    return wrong


# ---- the registry ----

SCHEMAS = 60       # so many ids, one after the other
RUN_OF_SCHEMA = 300
UNKNOWN_ID = 99999


def reading_schema(number):
    return {"type": "record", "name": "Reading", "fields": [
        {"name": f"note{number}", "type": "string", "default": ""},
        {"name": "number", "type": "long"}, {"name": "level", "type": "double"}]}


def start_registry(run):
    """Records of ever new schemas, now and then one that nobody has registered."""
    run.registry = Registry(MILLRACE, run.folder)
    run.closers.append(run.registry.stop)
    subject = f"{run.topics[0]}-value"
    parsed = [fastavro.parse_schema(reading_schema(n)) for n in range(SCHEMAS)]
    ids = [run.registry.register(subject, reading_schema(n)) for n in range(SCHEMAS)]

    def record(number):
        n = number // RUN_OF_SCHEMA % SCHEMAS
        to = io.BytesIO(struct.pack(">bI", 0, ids[n]))
        to.seek(5)
        fastavro.schemaless_writer(to, parsed[n], {
            f"note{n}": "x", "number": number, "level": 0.5})
        return to.getvalue()

    def unknown(_number):
        return struct.pack(">bI", 0, UNKNOWN_ID) + b"\0" * 10

    run.mix = Mix({97: unknown}, record)
    return {"registry": f'urls = "{run.registry.url}"; timeout_ms = 2000;',
            "route": 'record = { inputs = { x = ( "number", "level" ); };'
                     ' outputs = { sum = "y"; }; };'}


def registry_down(run):
    """It refuses, then hangs; between the two it answers."""
    (run.registry.refuse if run.turn % 2 == 0 else run.registry.hang)()
    settle(4)
    run.registry.serve()
    settle(2)


def registry_was_asked(run):
    return unharmed(run) + (
        [] if run.registry.asked > SCHEMAS // 4 else ["the registry was hardly asked"])


FAULTS = {
    "worker_killed": Fault("kill -9 at random", worker_killed),
    "worker_killed_in_commit": Fault("killed inside each step of a commit",
                                     worker_killed_in_commit),
    "worker_killed_at_least_once": Fault("kill -9 at random, at least once",
                                         worker_killed, delivery="at_least_once"),
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
    "killer_record": Fault("a job that ends each process that computes it", nothing,
                           mix=Mix(dead=[KILLER]), ends=(-signal.SIGABRT,),
                           environment={"MILLRACE_FAIL_JOB": f"crash:{KILLER}"},
                           also=killer_alone_is_dead),
    "oversized_result": Fault("answers over the topic's max.message.bytes", nothing,
                              mix=Mix({199: oversized}), also=unharmed,
                              output_config={"max.message.bytes": str(OVERSIZED_LIMIT)},
                              values={"producer": "batch_size = 20000;"}),
    "slow_inference": Fault("a batch takes longer than max.poll.interval.ms", nothing,
                            environment={"MILLRACE_FAIL_JOB": f"slow:{SLOW}"},
                            values={"consumer": "max_poll_interval_ms = 6000;"},
                            also=nobody_was_evicted),
    "clock_jump": Fault("the wall clock jumps, every job is tried again", move_clock,
                        prepare=give_clock, ordered=False,
                        environment={"MILLRACE_FAIL_JOB": "no_memory:*:1"},
                        values={"route": f'retry_delays = "{RETRY_DELAY_S}s";'},
                        also=retries_kept_their_time),
    "registry_down": Fault("the schema registry refuses, or hangs; unknown schema ids",
                           registry_down, model="twofold", prepare=start_registry,
                           heal=lambda run: run.registry.serve(),
                           also=registry_was_asked),
}
