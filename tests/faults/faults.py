#!/usr/bin/env python3
"""Hurts workers and brokers while jobs flow, and counts what came of each job.

Three brokers behind a proxy, two or more workers under a supervisor, unique job ids, topics
of replication 3 and 2 in-sync replicas. After each fault a reader of committed records must
find every id exactly once, as a result or as a dead letter as the job deserves, in the
order of its partition; a second reader must find the same; and answers must not have stood
still for longer than --patience. Exit code 1 where anything is wrong.
"""
import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from catalogue import FAULTS
from cluster import Cluster
from traffic import PARTITIONS, Feeder, Reader, judge, read_again
from workers import Workers



def say(text):
    print(f"faults: {text}", file=sys.stderr, flush=True)


class Run:
    """One fault at work: what its function may hurt."""

    def __init__(self, cluster, name, options, folder):
        self.cluster, self.name, self.fault = cluster, name, FAULTS[name]
        self.folder = Path(folder) / name
        self.folder.mkdir(parents=True)
        self.turn, self.closers, self.mix = 0, [], self.fault.mix
        self.delivery = self.fault.delivery or options.delivery
        self.topics = [f"{name}-{options.serial}-{end}" for end in ("in", "out", "dead")]
        for topic in self.topics:
            cluster.create_topics([topic], PARTITIONS, self.fault.output_config
                                  if topic == self.topics[1] else None)
        self.options = options
        self.environment = dict(self.fault.environment)
        extra = self.fault.prepare(self)
        self.workers = Workers(self.folder, {**self.values(), **extra},
                               self.fault.workers, self.environment)

    def values(self):
        values = {"bootstrap": self.cluster.bootstrap, "group": self.topics[0],
                  "delivery": self.delivery, "model": self.fault.model,
                  "input": self.topics[0], "output": self.topics[1],
                  "dead": self.topics[2], "consumer": "", "producer": "", "worker": "",
                  "registry": "", "route": ""}
        if self.options.assignor:
            values["consumer"] = (
                f'partition_assignment_strategy = "{self.options.assignor}";')
        for key, text in self.fault.values.items():
            values[key] = f"{values[key]} {text}" if key in ("consumer", "worker") else text
        return values

    def wait_for(self, condition):
        deadline = time.monotonic() + self.options.patience
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.1)

    def play(self):
        """Hurts until the last job was sent, heals, and waits for the last answers."""
        once = self.delivery == "exactly_once"
        reader = Reader(self.cluster.direct, *self.topics[1:])
        feeder = Feeder(self.cluster.direct, self.topics[0], self.mix,
                        self.options.rate, self.options.seconds)
        self.reader, self.feeder = reader, feeder
        reader.start()
        feeder.start()
        self.wait_for(lambda: reader.is_everywhere)
        feeder.go_on.set()
        while feeder.is_alive() and self.turn < self.options.turns:
            self.fault.hurt(self)
            self.turn += 1
        feeder.join()
        self.cluster.heal()
        self.workers.heal()
        self.fault.heal(self)
        self.wait_for(lambda: reader.count >= feeder.count)
        self.workers.stop()
        reader.stop()
        again = read_again(self.cluster.direct, *self.topics[1:], feeder.count)
        wrong = judge(again, self.mix, feeder.count, once=once,
                      ordered=once and self.fault.ordered)
        if reader.found != again.found:
            wrong.append("the reader during the fault saw something else")
        if reader.longest_stall > self.options.patience:
            wrong.append(f"nothing came for {reader.longest_stall:.0f} s")
        bad_ends = self.workers.bad_ends(self.fault.ends)
        if bad_ends:
            wrong.append(f"a worker ended with {bad_ends}")
        wrong += [f"a job was not sent: {text}" for text in feeder.failed[:1]]
        wrong += self.fault.also(self)
        for close in self.closers:
            close()
        return self.report(feeder, again, reader.longest_stall, wrong)

    def report(self, feeder, reader, stall_s, wrong):
        found = [times for ids in reader.found.values() for times in ids.values()]
        return {"fault": self.name, "what": self.fault.what, "jobs": feeder.count,
                "hurt": self.turn, "restarts": self.workers.restarts,
                "lost": feeder.count - len(found),
                "doubled": sum(times - 1 for times in found),
                "dead_letters": len(reader.found["dead"]),
                "longest_stall_s": round(stall_s, 1), "peak_mib": self.workers.peak_mib,
                "delivery": self.delivery, "kafka": self.cluster.version,
                "librdkafka": self.workers.librdkafka(), "wrong": wrong}


def play(cluster, name, options, folder):
    reason = FAULTS[name].needs(cluster)
    if reason:
        say(f"{name}: skipped, {reason}")
        return None
    say(f"{name}: {FAULTS[name].what}")
    run = Run(cluster, name, options, folder)
    try:
        report = run.play()
    finally:
        run.workers.abandon()
    cluster.delete_topics(run.topics)
    print(json.dumps(report), flush=True)
    for text in report["wrong"]:
        say(f"{name}: {text}")
    return report


SUMS = ("hurt", "restarts", "jobs", "lost", "doubled")
PEAKS = ("longest_stall_s", "peak_mib")


def total(reports, what):
    """One line of several: how much there was of all, and the worst."""
    return {"what": what, **{key: sum(r[key] for r in reports) for key in SUMS},
            **{key: max(r[key] for r in reports) for key in PEAKS}}


def table(reports):
    """The README's table, in Markdown: a line for each fault, and one for all."""
    names = list(dict.fromkeys(r["fault"] for r in reports))
    rows = [total([r for r in reports if r["fault"] == name], FAULTS[name].what)
            for name in names]
    rows += [total(reports, "all")] if len(rows) > 1 else []
    lines = ["| fault | times | jobs | lost | doubled | longest stall | peak RSS |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    lines += [f"| {r['what']} | {r['hurt']} | {r['jobs']:,} | {r['lost']} | {r['doubled']} "
              f"| {r['longest_stall_s']:.0f} s | {r['peak_mib']} MiB |" for r in rows]
    return "\n".join(lines)


def names_of(text):
    names = text.split(",") if text else list(FAULTS)
    for name in names:
        if name not in FAULTS:
            raise argparse.ArgumentTypeError(
                f"there is no fault {name}; there are {', '.join(FAULTS)}")
    return names


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=names_of, default=list(FAULTS), metavar="NAME,...",
                        help=f"default: all of {', '.join(FAULTS)}")
    parser.add_argument("--seconds", type=float, default=30, help="of jobs for each fault")
    parser.add_argument("--rate", type=float, default=1000, help="jobs a second")
    parser.add_argument("--turns", type=int, default=10**9,
                        help="most times that a fault is caused")
    parser.add_argument("--patience", type=float, default=60, metavar="SECONDS",
                        help="how long a partition may stand still (default 60)")
    parser.add_argument("--hours", type=float, help="soak: random faults for so long")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--delivery", default="exactly_once",
                        choices=["exactly_once", "at_least_once"])
    parser.add_argument("--assignor", help="range, roundrobin or cooperative-sticky")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", metavar="DIR", help="keep logs and data there")
    parser.add_argument("--markdown", action="store_true", help="print a table at the end")
    return parser.parse_args()


def rounds(options):
    """The names of the faults to cause, one after the other."""
    if options.hours is None:
        yield from options.faults
        return
    end = time.monotonic() + options.hours * 3600
    while time.monotonic() < end:
        yield random.choice(options.faults)


def main():
    options = parse()
    random.seed(options.seed)
    say(f"--seed {options.seed}")
    folder = Path(options.keep or tempfile.mkdtemp(prefix="millrace-faults-")).resolve()
    reports, options.serial = [], 0
    cluster = Cluster(folder / "kafka", options.brokers)
    try:
        for name in rounds(options):
            options.serial += 1
            report = play(cluster, name, options, folder / f"run-{options.serial}")
            reports += [report] if report else []
    finally:
        cluster.stop()
    bad = [report for report in reports if report["wrong"]]
    if options.markdown:
        print(table(reports))
    if not bad and not options.keep:
        shutil.rmtree(folder)
    elif bad:
        say(f"logs and data are in {folder}")
    print(f"{len(reports) - len(bad)} passed, {len(bad)} failed")
    sys.exit(1 if bad or not reports else 0)


main()
