#!/usr/bin/env python3
"""The peer that Millrace is measured against: the same work, done in Python.

It consumes InferenceJob records, runs them through ONNX Runtime in batches of 64, and
publishes InferenceResult records, with the offsets, in a transaction every 100 ms. It is
written as a team would write it that knows its libraries and wants to be done: no tricks,
and nothing slower than it has to be.

A job that cannot be read ends it: it is here to be measured, not to be deployed.
"""
import argparse
import io
import json
import pathlib
import signal
import sys
import time

import fastavro
import numpy as np
import onnxruntime
from confluent_kafka import Consumer, KafkaException, Producer

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
BATCH_SIZE = 64
CALL_TIMEOUT_S = 60


def load_schema(name):
    return fastavro.parse_schema(json.loads((SCHEMAS / name).read_text()))


JOB_SCHEMA = load_schema("inference_job.avsc")
RESULT_SCHEMA = load_schema("inference_result.avsc")


class Model:
    def __init__(self, path, input_name, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options)
        self.name = pathlib.Path(path).parent.name
        self.input_name = input_name or self.session.get_inputs()[0].name
        self.output_names = [output.name for output in self.session.get_outputs()]

    def run(self, rows):
        """The outputs for a list of rows, each with the batch dimension first."""
        return self.session.run(None, {self.input_name: np.stack(rows)})


class Worker:
    def __init__(self, args):
        self.args = args
        self.stopping = False
        self.open = False  # results are waiting to be committed
        self.failure = None
        self.model = Model(args.model, args.input_name, args.threads)
        self.consumer = Consumer(
            {
                "bootstrap.servers": args.bootstrap,
                "group.id": args.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
            }
        )
        config = {"bootstrap.servers": args.bootstrap}
        if not args.at_least_once:
            config["transactional.id"] = args.transactional_id
        self.producer = Producer(config)

    def run(self):
        self.consumer.subscribe([self.args.input], on_revoke=self.on_revoke)
        if not self.args.at_least_once:
            self.producer.init_transactions(CALL_TIMEOUT_S)
        interval = self.args.commit_interval_ms / 1000
        wait = self.args.batch_wait_ms / 1000
        due = time.monotonic()
        while not self.stopping:
            messages = self.consumer.consume(BATCH_SIZE, timeout=wait)
            if messages:
                if not self.open:
                    self.open = True
                    due = time.monotonic() + interval
                    if not self.args.at_least_once:
                        self.producer.begin_transaction()
                self.answer(messages)
            if self.open and time.monotonic() >= due:
                self.commit()
        self.commit()
        self.consumer.close()

    def answer(self, messages):
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
        values = [io.BytesIO(message.value()) for message in messages]
        jobs = [fastavro.schemaless_reader(value, JOB_SCHEMA) for value in values]
        received = time.monotonic()
        outputs = self.model.run([read_tensor(job["inputs"][0]) for job in jobs])
        compute_us = int((time.monotonic() - received) * 1e6)
        for row, (message, job) in enumerate(zip(messages, jobs)):
            result = {
                "id": job["id"],
                "model": self.model.name,
                "version": None,
                "headers": job["headers"],
                "job_timestamp_ms": message.timestamp()[1],
                "batch_size": len(messages),
                "wait_us": 0,
                "compute_us": compute_us,
                "outputs": [
                    write_tensor(name, output[row])
                    for name, output in zip(self.model.output_names, outputs)
                ],
            }
            value = io.BytesIO()
            fastavro.schemaless_writer(value, RESULT_SCHEMA, result)
            self.producer.produce(
                self.args.output,
                value.getvalue(),
                key=message.key(),
                on_delivery=self.on_delivery if self.args.at_least_once else None,
            )
        self.producer.poll(0)

    def commit(self):
        """Makes the results visible and their jobs done."""
        if not self.open:
            return
        offsets = self.consumer.position(self.consumer.assignment())
        if self.args.at_least_once:
            self.producer.flush()
            if self.failure:
                raise KafkaException(self.failure)
            self.consumer.commit(offsets=offsets, asynchronous=False)
        else:
            try:
                self.producer.send_offsets_to_transaction(
                    offsets, self.consumer.consumer_group_metadata(), CALL_TIMEOUT_S
                )
                self.producer.commit_transaction(CALL_TIMEOUT_S)
            except KafkaException as error:
                if not error.args[0].txn_requires_abort():
                    raise
                self.abort()
        self.open = False

    def abort(self):
        """Takes the transaction back, and the consumer to where it began."""
        self.producer.abort_transaction(CALL_TIMEOUT_S)
        assignment = self.consumer.assignment()
        for partition in self.consumer.committed(assignment, timeout=CALL_TIMEOUT_S):
            partition.offset = max(partition.offset, 0)
            self.consumer.seek(partition)

    def on_revoke(self, _consumer, _partitions):
        self.commit()

    def on_delivery(self, error, _message):
        if error:
            self.failure = error

    def stop(self, *_):
        self.stopping = True


def read_tensor(tensor):
    data = tensor["data"]
    convert = np.frombuffer if isinstance(data, bytes) else np.array
    return convert(data, dtype=tensor["dtype"]).reshape(tensor["shape"])


def write_tensor(name, row):
    return {
        "name": name,
        "dtype": row.dtype.name,
        "shape": list(row.shape),
        "data": row.ravel().tolist(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("bootstrap", "group", "input", "output", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--input-name", help="default: the model's first input")
    parser.add_argument("--transactional-id", default="python-worker")
    parser.add_argument("--commit-interval-ms", type=int, default=100)
    parser.add_argument("--batch-wait-ms", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1, help="ONNX Runtime's intra-op")
    parser.add_argument("--at-least-once", action="store_true")
    worker = Worker(parser.parse_args())
    signal.signal(signal.SIGTERM, worker.stop)
    signal.signal(signal.SIGINT, worker.stop)
    worker.run()


if __name__ == "__main__":
    sys.exit(main())
