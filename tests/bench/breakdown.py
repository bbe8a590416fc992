#!/usr/bin/env python3
"""Makes a table of a perf report of the worker: microseconds of a job, by what they go to.

A thread's share is what perf saw of it. Within the threads that do several things the
layer decides whose archive (build/lib/LAYER.a) holds the function; a copy or a system call
counts as what its thread mostly does.
"""
import argparse
import collections
import pathlib
import subprocess

PARTS = ["transport", "decode", "batch", "compute", "encode", "other"]
MEANING = {
    "transport": "librdkafka and the network: fetch, produce, transactions, offsets",
    "decode": "Avro of the job, checked and copied into its batch row",
    "batch": "placing rows, passing batches and records between threads, counting",
    "compute": "the model",
    "encode": "Avro of the result",
    "other": "metrics, signals, start of the measurement",
}
# Threads that do one thing.
THREADS = {"rdk:": "transport", "poll": "transport", "commit": "transport"}
# Of a layer's code, in any other thread.
LAYERS = {"engine": "compute", "batch": "batch", "app": "batch", "base": "batch",
          "stream": "batch"}
# Of everything else in a thread: libraries and the kernel.
REST = {"intake": "decode", "compute": "compute"}
# In the codec, by thread.
CODEC = {"intake": "decode", "compute": "encode"}


def layer_of_symbols(libs):
    """Function name to layer, from the archives' symbol tables."""
    layers = {}
    for archive in sorted(pathlib.Path(libs).glob("*.a")):
        listing = subprocess.run(["nm", "--defined-only", archive], check=True, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for line in listing.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "tT":
                # gcc's copies are called NAME.part.0, NAME.constprop.0
                layers.setdefault(words[2].split(".")[0], archive.stem)
    return layers


def part_of(thread, program, symbol, layers):
    for prefix, part in THREADS.items():
        if thread.startswith(prefix):
            return part
    layer = layers.get(symbol.split(".")[0]) if program == "millrace" else None
    if layer == "codec":
        return CODEC.get(thread, "other")
    if layer in LAYERS and thread in REST:
        return LAYERS[layer]
    return REST.get(thread, "other")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", required=True)
    parser.add_argument("--libs", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--cpu-s", type=float, required=True)
    parser.add_argument("--wall-ns", type=int, required=True)
    args = parser.parse_args()
    layers = layer_of_symbols(args.libs)
    shares, top = collections.Counter(), collections.defaultdict(collections.Counter)
    for line in pathlib.Path(args.report).read_text().splitlines():
        words = [word.strip() for word in line.split("|")]
        if len(words) != 4 or not words[0].endswith("%"):
            continue
        symbol = words[3].removeprefix("[.] ").removeprefix("[k] ")
        part = part_of(words[1], words[2], symbol, layers)
        shares[part] += float(words[0].rstrip("%"))
        top[part][symbol if words[2] != "[kernel.kallsyms]" else "kernel"] += float(
            words[0].rstrip("%"))
    job_us = args.cpu_s * 1e6 / args.jobs
    total = sum(shares.values())
    print(f"{args.jobs:,} jobs in {args.wall_ns / 1e9:.1f} s: "
          f"{args.jobs * 1e9 / args.wall_ns:,.0f} jobs/s, {job_us:.1f} us of CPU a job\n")
    print("| part | us a job | share | what it is | most of it |")
    print("|---|---:|---:|---|---|")
    for part in PARTS:
        if shares[part] == 0:
            continue
        most = ", ".join(f"{name} {100 * share / total:.0f} %"
                         for name, share in top[part].most_common(3))
        print(f"| {part} | {job_us * shares[part] / total:.2f} "
              f"| {100 * shares[part] / total:.0f} % | {MEANING[part]} | {most} |")


main()
