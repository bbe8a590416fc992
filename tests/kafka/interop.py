"""Sends jobs with confluent-kafka and fastavro, reads the answers back with them, and
compares these with ONNX Runtime's own."""
import argparse
import io
import json
import pathlib
import sys

import fastavro
import numpy as np
import onnxruntime
from confluent_kafka import Consumer, Producer

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-5
DTYPES = {"float32": np.float32, "int32": np.int32}


def load_schema(name):
    return fastavro.parse_schema(json.loads((ROOT / "schemas" / name).read_text()))


def encode_job(schema, model, name, number, row):
    """Every other job as raw bytes, the rest as arrays; with and without a name."""
    data = row.tobytes() if number % 2 == 0 else row.ravel().tolist()
    job = {
        "id": f"{model}-{number}",
        "model": model if number % 3 == 0 else "",
        "headers": {"number": str(number)},
        "inputs": [{"name": name if number % 5 else "", "dtype": str(row.dtype),
                    "shape": list(row.shape), "data": data}],
    }
    to = io.BytesIO()
    fastavro.schemaless_writer(to, schema, job)
    return to.getvalue()


def send(args, name, rows):
    schema = load_schema("inference_job.avsc")
    producer = Producer({"bootstrap.servers": args.bootstrap})
    for number, row in enumerate(rows):
        producer.produce(args.jobs, encode_job(schema, args.model, name, number, row),
                         key=f"key-{number}")
    if producer.flush(30) > 0:
        sys.exit("interop.py: jobs were not delivered")


def receive(args, count):
    schema = load_schema("inference_result.avsc")
    consumer = Consumer({"bootstrap.servers": args.bootstrap, "group.id": args.results,
                         "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "isolation.level": "read_committed"})
    consumer.subscribe([args.results])
    answers = {}
    while len(answers) < count:
        message = consumer.poll(60)
        if message is None:
            sys.exit(f"interop.py: only {len(answers)} of {count} answers came")
        if message.error():
            sys.exit(f"interop.py: {message.error()}")
        result = fastavro.schemaless_reader(io.BytesIO(message.value()), schema)
        number = int(result["id"].rsplit("-", 1)[1])
        assert message.key() == f"key-{number}".encode(), message.key()
        assert result["headers"] == {"number": str(number)}, result["headers"]
        assert result["model"] == args.model and number not in answers, result["id"]
        answers[number] = result["outputs"]
    consumer.close()
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--bootstrap", "--model", "--jobs", "--results"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    session = onnxruntime.InferenceSession(ROOT / f"conf/models/{args.model}/model.onnx")
    name = session.get_inputs()[0].name
    rows = np.load(ROOT / f"tests/data/{args.model}/samples.npy")[:200]
    expected = session.run(None, {name: rows})
    send(args, name, rows)
    answers = receive(args, len(rows))
    worst = 0.0
    for number, outputs in answers.items():
        for output, port, values in zip(outputs, session.get_outputs(), expected):
            assert output["name"] == port.name, output["name"]
            assert tuple(output["shape"]) == values[number].shape, output["shape"]
            got = np.array(output["data"], dtype=DTYPES[output["dtype"]])
            worst = max(worst, np.abs(got - values[number].ravel()).max())
    print(f"{args.model}: {len(answers)} answers, at most {worst:.2g} from ONNX Runtime's")
    if worst > TOLERANCE:
        sys.exit("interop.py: that is too far")


main()
