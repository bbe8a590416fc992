"""Measures Millrace and ONNX Runtime on the models of the suite, in turn.

models.sh calls it, builds what it needs, and hands on its arguments. For each model, batch
and number of threads the two take turns, repetition after repetition, so that a machine
that gets slower does so for both; figures are medians. Two threads mean:

    Millrace       two sessions of one thread side by side, as in the worker
    ONNX Runtime   the better of one session with two threads and two sessions with one

ONNX Runtime is bound to its inputs once and makes no copies of them. Models whose batch is
fixed run at their own. Loading and memory are measured in a process of their own each.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import models_report
import quantize
from models_report import PEER, US

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "tests/models/models.tsv"
SLOW_S = 1.0  # a batch that takes longer is measured once
LOAD_REPETITIONS = 5
WARM_UP_SHARE = 10


def read_suite(path=SUITE):
    """NAME to its row of models.tsv; '-' stands for nothing."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    keys = lines[0].split("\t")
    rows = [dict(zip(keys, line.split("\t"))) for line in lines[1:] if line]
    return {row["name"]: row for row in rows}


def row_dims(row):
    """{"sequence_length": 64} of "sequence_length=64"."""
    if row["dims"] == "-":
        return {}
    return {k: int(v) for k, v in (item.split("=") for item in row["dims"].split(","))}


def integers_max(row):
    return 1 if row["integers_max"] == "-" else int(row["integers_max"])


def in_8_bits(suite, mode):
    """The same suite as `quantize` writes it; the names tell."""
    return {f"{name}_{mode}": {**row, "name": f"{name}_{mode}", "base": name, "mode": mode}
            for name, row in suite.items()}


# ---- the peer -----------------------------------------------------------------------


def peer_session(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def peer_binding(session, row, batch):
    sys.path.insert(0, str(ROOT / "tools/models"))
    from weightless import sample_inputs

    binding = session.io_binding()
    feeds = sample_inputs(session.get_inputs(), batch, 1, row_dims(row), integers_max(row))
    for name, value in feeds.items():
        binding.bind_cpu_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return binding


def fixed_batch(session):
    """The batch that the model insists on, or None."""
    first = [port.shape[0] for port in session.get_inputs() if port.shape]
    return first[0] if first and all(isinstance(dim, int) for dim in first) else None


def run_for(session, binding, seconds, samples):
    start = now = time.perf_counter()
    while True:
        before = now
        session.run_with_iobinding(binding)
        now = time.perf_counter()
        samples.append(now - before)
        if now - start >= seconds:
            return


def peer_median_ms(sessions, row, batch, seconds):
    """Sessions side by side, each in a thread; the median over all of their batches."""
    barrier = threading.Barrier(len(sessions))
    samples = [[] for _ in sessions]

    def work(session, mine):
        binding = peer_binding(session, row, batch)
        run_for(session, binding, seconds / WARM_UP_SHARE, warm := [])
        if len(warm) < 2 and warm[0] < seconds:
            run_for(session, binding, 0, [])
        barrier.wait()
        run_for(session, binding, seconds, mine)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(sessions, samples)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.median(sum(samples, [])) * 1e3


def status_kib(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def peer_load(path, row, batch):
    """Runs in a process of its own: how long a session takes and what is resident."""
    import numpy  # noqa: F401: not to be counted
    import onnxruntime  # noqa: F401

    before = status_kib("VmRSS")
    start = time.perf_counter()
    session = peer_session(path, 1)
    load_ms = (time.perf_counter() - start) * 1e3
    session.run_with_iobinding(peer_binding(session, row, batch))
    peak = status_kib("VmHWM")
    return {"load_ms": load_ms, "peak_kib": peak, "grown_kib": peak - before}


# ---- Millrace ------------------------------------------------------------------------


def millrace(arguments, path, row, batch, threads, seconds, *flags):
    command = [arguments.millrace, "model", "bench", path, "--json", "--batch", batch,
               "--threads", threads, "--seconds", seconds,
               "--integers-max", integers_max(row), *flags]
    for name, size in row_dims(row).items():
        command += ["--dim", f"{name}={size}"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


# ---- one model ------------------------------------------------------------------------


class Contenders:
    """The sessions of one model and one number of threads."""

    def __init__(self, arguments, path, row, threads):
        self.arguments, self.path, self.row, self.threads = arguments, path, row, threads
        self.ways = {"side by side": [peer_session(path, 1) for _ in range(threads)]}
        if threads > 1:
            self.ways["one session"] = [peer_session(path, threads)]

    def measure(self, batch):
        """One cell of the table: rows/s and the ms of a batch, of both."""
        ours, peers = [], {way: [] for way in self.ways}
        seconds = self.arguments.seconds
        for _ in range(self.arguments.repetitions):
            got = millrace(self.arguments, self.path, self.row, batch, self.threads, seconds)
            ours.append(got["median_ms"])
            for way, sessions in self.ways.items():
                peers[way].append(peer_median_ms(sessions, self.row, batch, seconds))
            if max(ours[-1], *(ms[-1] for ms in peers.values())) > SLOW_S * 1e3:
                break
        ours_ms = statistics.median(ours)
        rates = {
            way: batch * len(self.ways[way]) * 1e3 / statistics.median(times)
            for way, times in peers.items()
        }
        best = max(rates, key=rates.get)
        return {
            "batch": batch,
            "threads": self.threads,
            f"{US}_ms": ours_ms,
            f"{US}_rows_per_s": batch * self.threads * 1e3 / ours_ms,
            f"{PEER}_ms": statistics.median(peers[best]),
            f"{PEER}_rows_per_s": rates[best],
            f"{PEER}_way": best,
        }


def measure_load(arguments, path, row, batch):
    ours, peers = [], []

    def peer():
        command = [sys.executable, __file__, "--peer-load", path, json.dumps(row), str(batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peers.append(json.loads(done.stdout))

    # Whoever is second finds memory that the other has just given back, which is faster to
    # get: they take turns at that, too.
    for repetition in range(LOAD_REPETITIONS):
        if repetition % 2 == 1:
            peer()
        ours.append(millrace(arguments, path, row, batch, 1, 0.01, "--load"))
        if repetition % 2 == 0:
            peer()
    return {
        f"{who}_{key}": statistics.median(one[key] for one in runs)
        for who, runs in ((US, ours), (PEER, peers))
        for key in ("load_ms", "peak_kib", "grown_kib")
    }


def batches_of(arguments, row, session):
    fixed = fixed_batch(session)
    if fixed is not None:
        return [fixed]
    most = int(row["batch_max"]) if row["batch_max"] != "-" else max(arguments.batches)
    return [batch for batch in arguments.batches if batch <= most]


def model_path(row):
    models = ROOT / "build/models"
    if "mode" in row:
        return str(quantize.quantized(models, row["base"], row["mode"]))
    return str(models / row["name"] / "model.onnx")


def measure_model(arguments, row, note):
    path = model_path(row)
    result = {"name": row["name"], "cells": []}
    batches = batches_of(arguments, row, peer_session(path, 1))
    if arguments.load:
        note("load")
        result["load"] = measure_load(arguments, path, row, batches[0])
    for threads in arguments.threads:
        contenders = Contenders(arguments, path, row, threads)
        for batch in batches:
            note(f"batch {batch}, {threads} thread{'s' * (threads > 1)}")
            result["cells"].append(contenders.measure(batch))
    return result


# ---- all of it --------------------------------------------------------------------------


def numbers(text):
    return [int(word) for word in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(
        prog="models.sh", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--models", help="A,B,...: these alone; 'light_*' stands for several")
    parser.add_argument("--quantize", choices=quantize.MODES,
                        help="in 8 bits, as onnxruntime.quantization writes them")
    parser.add_argument("--batches", type=numbers, default=[1, 16, 64], help="default 1,16,64")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default 1,2")
    parser.add_argument("--seconds", type=float, default=0.4, help="of each run (default 0.4)")
    parser.add_argument("--repetitions", type=int, default=3, help="turns (default 3)")
    parser.add_argument("--quick", action="store_true",
                        help="batches 1 and 16, one thread, two short turns, no loading")
    parser.add_argument("--no-load", dest="load", action="store_false",
                        help="leave out loading and memory")
    parser.add_argument("--load-only", action="store_true", help="only loading and memory")
    parser.add_argument("--json", metavar="FILE", default=str(ROOT / "build/bench/models.json"),
                        help="also write the figures there (default build/bench/models.json)")
    parser.add_argument("--add", action="store_true",
                        help="keep what FILE has of other models, and report it too")
    parser.add_argument("--report", action="store_true", help="only print what FILE has")
    parser.add_argument("--list", action="store_true", help="only print the names of the models")
    parser.add_argument("--millrace", default=os.environ.get("MILLRACE", str(ROOT / "build/millrace")),
                        help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.batches, arguments.threads, arguments.load = [1, 16], [1], False
        arguments.seconds, arguments.repetitions = 0.15, 2
    if arguments.load_only:
        arguments.load, arguments.threads = True, []
    return arguments


def chosen(suite, pattern):
    if pattern is None:
        return list(suite)
    names = []
    for one in pattern.split(","):
        found = [name for name in suite if Path(name).match(one)]
        if not found:
            sys.exit(f"models.sh: no model is called {one}; --list tells those there are")
        names += found
    return names


class Progress:
    """One line that is redrawn on a terminal; a line a model elsewhere."""

    def __init__(self, total):
        self.total, self.done, self.terminal = total, 0, sys.stderr.isatty()

    def show(self, name, what):
        text = f"[{self.done + 1}/{self.total}] {name}"
        if self.terminal:
            print(f"\r\x1b[K{text}: {what}", end="", file=sys.stderr, flush=True)
        elif not what:
            print(text, file=sys.stderr, flush=True)

    def end(self):
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def measure_all(arguments, suite, results, save):
    names = chosen(suite, arguments.models)
    progress = Progress(len(names))
    failed = []
    for name in names:
        progress.show(name, "")
        try:
            results[name] = measure_model(arguments, suite[name],
                                          lambda what: progress.show(name, what))
            save(results)
        except Exception as problem:  # one model must not cost the others their figures
            failed.append(f"{name}: {problem}")
        progress.done += 1
    progress.end()
    return failed


def main():
    if sys.argv[1:2] == ["--peer-load"]:
        print(json.dumps(peer_load(sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]))))
        return 0
    arguments = parse()
    suite = read_suite()
    if arguments.list:
        print("\n".join(chosen(suite, arguments.models)))
        return 0
    if arguments.quantize:
        wanted = chosen(suite, arguments.models)
        suite = in_8_bits({name: suite[name] for name in wanted}, arguments.quantize)
        arguments.models = None
    file = Path(arguments.json)
    results = {}
    if (arguments.report or arguments.add) and file.exists():
        results = {model["name"]: model for model in json.loads(file.read_text())["models"]}

    def save(results):
        ordered = [results[name] for name in suite if name in results]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"models": ordered}, indent=1) + "\n")

    failed = [] if arguments.report else measure_all(arguments, suite, results, save)
    print(models_report.tables([results[name] for name in suite if name in results]))
    for line in failed:
        print("FAILED", line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
