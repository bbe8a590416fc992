#!/usr/bin/env python3
"""score_file.py - what millrace score is measured against: pandas or fastavro, and ONNX Runtime.

    score_file.py MODEL.onnx IN OUT

IN and OUT are both CSV or both Avro. All columns of IN whose names begin with V are the
model's only input; OUT has the columns of IN and `score`, the second class's probability.
"""
import sys

import numpy as np
import onnxruntime


def predict(session, x):
    """In slices, or a large file's intermediate results would fill the memory."""
    name = session.get_inputs()[0].name
    output = session.get_outputs()[1].name
    parts = [session.run([output], {name: x[i:i + 65536]})[0][:, 1]
             for i in range(0, len(x), 65536)]
    return np.concatenate(parts)


def score_csv(session, source, target):
    import pandas
    frame = pandas.read_csv(source)
    columns = [c for c in frame.columns if c.startswith("V")]
    frame["score"] = predict(session, frame[columns].to_numpy("float32"))
    frame.to_csv(target, index=False)


def score_avro(session, source, target):
    import fastavro
    with open(source, "rb") as file:
        reader = fastavro.reader(file)
        schema, codec = reader.writer_schema, reader.codec
        records = list(reader)
    columns = [f["name"] for f in schema["fields"] if f["name"].startswith("V")]
    x = np.array([[r[c] for c in columns] for r in records], dtype="float32")
    for record, score in zip(records, predict(session, x).tolist()):
        record["score"] = score
    fields = schema["fields"] + [{"name": "score", "type": "float"}]
    with open(target, "wb") as file:
        fastavro.writer(file, {"type": "record", "name": "Scored", "fields": fields}, records,
                        codec=codec)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    model, source, target = sys.argv[1:]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (score_csv if source.endswith(".csv") else score_avro)(session, source, target)


if __name__ == "__main__":
    main()
