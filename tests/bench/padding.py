#!/usr/bin/env python3
"""padding.py - when rows of many lengths pay in common batches, padded: `pad_to`.

    padding.py [--jobs N] [--turns N] [--json]

Sequences of 5 to 120 steps, in any order, wait in a topic for a GRU of 64 units that masks
what is zero; a worker of one compute thread answers them each at its own length, then padded,
in turns. Rates come from the times of the first answer and the last. MILLRACE names the
program; the broker is its own.
"""
import argparse
import contextlib
import io
import json
import os
import pathlib
import statistics
import subprocess
import time

import fastavro
import numpy as np
import onnx
from confluent_kafka import Consumer, Producer
from onnx import TensorProto, helper, numpy_helper

MILLRACE = os.environ.get("MILLRACE", "build/millrace")
FOLDER = pathlib.Path("build/bench-padding")
FEATURES, UNITS, SHORTEST, LONGEST, PARTITIONS = 8, 64, 5, 120, 8
PAD_TO = "20 40 60 80 100 120"
PATIENCE_S = 120
JOB = fastavro.schema.load_schema("schemas/inference_job.avsc")


def make_model(path):
    """The GRU's last state; a row's length is the number of its steps that are not all 0."""
    rng = np.random.default_rng(1)

    def weight(name, *dims):
        return numpy_helper.from_array((rng.standard_normal(dims) / 8).astype("float32"), name)
    nodes = [
        helper.make_node("Abs", ["x"], ["size"]),
        helper.make_node("ReduceMax", ["size"], ["largest"], axes=[2], keepdims=0),
        helper.make_node("Sign", ["largest"], ["there"]),
        helper.make_node("ReduceSum", ["there", "last_axis"], ["steps"], keepdims=0),
        helper.make_node("Cast", ["steps"], ["lengths"], to=TensorProto.INT32),
        helper.make_node("Transpose", ["x"], ["by_step"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["by_step", "w", "r", "b", "lengths"], ["", "state"],
                         hidden_size=UNITS, linear_before_reset=1),
        helper.make_node("Squeeze", ["state", "first_axis"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "masked_gru",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "steps", FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", UNITS])],
        [weight("w", 1, 3 * UNITS, FEATURES), weight("r", 1, 3 * UNITS, UNITS),
         weight("b", 1, 6 * UNITS),
         numpy_helper.from_array(np.array([1], "int64"), "last_axis"),
         numpy_helper.from_array(np.array([0], "int64"), "first_axis")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), path)


def send_jobs(bootstrap, count):
    rng = np.random.default_rng(2)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50})
    for i in range(count):
        length = int(rng.integers(SHORTEST, LONGEST + 1))
        row = rng.standard_normal((length, FEATURES)).astype("float32")
        value = io.BytesIO()
        fastavro.schemaless_writer(value, JOB, {"id": str(i), "inputs": [
            {"name": "x", "dtype": "float32", "shape": row.shape, "data": row.tobytes()}]})
        producer.produce("jobs", value.getvalue(), partition=i % PARTITIONS)
        producer.poll(0)
    if producer.flush(PATIENCE_S) > 0:
        raise SystemExit("padding.py: jobs could not be sent")


def rate_of(bootstrap, topic, count):
    """Answers per second, between the first and the last."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic,
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    times, deadline = [], time.monotonic() + PATIENCE_S
    while len(times) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"padding.py: {len(times)} of {count} answers; see {FOLDER}")
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                times.append(message.timestamp()[1])
    consumer.close()
    return (count - 1) * 1000 / (max(times) - min(times))


@contextlib.contextmanager
def running(name, *args):
    with open(FOLDER / f"{name}.log", "w") as log:
        process = subprocess.Popen([MILLRACE, *args], stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def turn(bootstrap, name, pad_to, count):
    config = FOLDER / f"{name}.conf"
    config.write_text(f"""kafka = {{ bootstrap_servers = "{bootstrap}"; }};
consumer = {{ auto_offset_reset = "earliest"; }};
worker = {{ group = "{name}"; threads = 1; }};
http = {{ port = 0; }};
models = ( {{ name = "gru"; path = "model.onnx"; {pad_to} }} );
routes = ( {{ input = "jobs"; output = "{name}"; dead_letter = "dead"; model = "gru"; }} );
""")
    with running(name, "worker", "--config", str(config)):
        return rate_of(bootstrap, name, count)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=12000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the rates as JSON")
    options = parser.parse_args()
    ways = {"alone": "", "padded": f'pad_to = "{PAD_TO}";'}
    names = [f"{way}-{t}" for t in range(options.turns) for way in ways]
    FOLDER.mkdir(parents=True, exist_ok=True)
    make_model(FOLDER / "model.onnx")
    address = FOLDER / "address"
    address.unlink(missing_ok=True)
    topics = ",".join(f"{t}:{PARTITIONS}" for t in ["jobs", "dead", *names])
    with running("broker", "broker", "--topics", topics, "--address-file", str(address)):
        while not (address.exists() and address.read_text()):
            time.sleep(0.05)
        bootstrap = address.read_text().strip()
        send_jobs(bootstrap, options.jobs)
        rates = {way: [] for way in ways}
        for name in names:
            way = name.split("-")[0]
            rates[way].append(turn(bootstrap, name, ways[way], options.jobs))
    if options.json:
        print(json.dumps(rates))
        return
    alone, padded = (statistics.median(rates[way]) for way in ways)
    print(f"each at its length {alone:,.0f} jobs/s, padded to {PAD_TO}: {padded:,.0f}, "
          f"{padded / alone:.2f} times as many")


if __name__ == "__main__":
    main()
