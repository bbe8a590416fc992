"""rows.py - what the tests of file formats share: the command, models, random rows."""
import json
import os
import random
import subprocess
import tempfile

import fastavro
import numpy as np
import onnx
from onnx import TensorProto, helper

MILLRACE = os.path.abspath(os.environ.get("MILLRACE", "build/millrace"))
CODECS = ["null", "deflate", "snappy", "zstandard"]


def save_model(path, inputs, nodes, outputs):
    """inputs and outputs: {name: (type, row shape)}; a free batch stands ahead."""
    def ports(of):
        return [helper.make_tensor_value_info(name, kind, ["batch", *shape])
                for name, (kind, shape) in of.items()]
    graph = helper.make_graph(nodes, "g", ports(inputs), ports(outputs))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                              ir_version=8)
    onnx.save(model, path)


def double_model(path, elements=1, name="x"):
    """y = x + x"""
    save_model(path, {name: (TensorProto.FLOAT, [elements])},
               [helper.make_node("Add", [name, name], ["y"])],
               {"y": (TensorProto.FLOAT, [elements])})


class Folder(tempfile.TemporaryDirectory):
    def path(self, name):
        return os.path.join(self.name, name)


def score(*arguments, code=0, **more):
    done = subprocess.run([MILLRACE, "score", *map(str, arguments)], text=True,
                          capture_output=True, timeout=120, **more)
    assert done.returncode == code, (done.returncode, arguments, done.stderr[-600:])
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


def write_avro(path, schema, records, codec="null", **more):
    with open(path, "wb") as to:
        fastavro.writer(to, schema, records, codec=codec, **more)


def read_avro(path):
    with open(path, "rb") as file:
        return list(fastavro.reader(file))


def read_jsonl(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


TEXTS = ["", "a", "näïve", "日本語", 'say "no"', "a,b;c\td", "two\nlines", "\r\n", " blank ",
         "back\\slash", "\u0001\u001f", "0012", "x" * 3000]


def random_type(rng, depth, name):
    """A schema, and a function that makes a value of it."""
    simple = [("boolean", lambda: rng.random() < 0.5),
              ("int", lambda: rng.choice([0, -1, 2**31 - 1, -2**31, rng.randrange(1000)])),
              ("long", lambda: rng.choice([0, 2**63 - 1, -2**63, rng.getrandbits(40)])),
              ("float", lambda: float(np.float32(rng.uniform(-1, 1) * 10**rng.randrange(-6, 9)))),
              ("double", lambda: rng.choice([0.0, 5e-324, 1.7e308, rng.gauss(0, 1), 1 / 3])),
              ("string", lambda: rng.choice(TEXTS)),
              ("bytes", lambda: rng.randbytes(rng.randrange(9)))]
    kind = rng.randrange(13 if depth > 0 else 10)
    if kind < 7:
        return simple[kind]
    if kind == 7:
        return ({"type": "enum", "name": f"E{name}", "symbols": ["A", "B", "C"]},
                lambda: rng.choice("ABC"))
    if kind == 8:
        return ({"type": "fixed", "name": f"F{name}", "size": 3}, lambda: rng.randbytes(3))
    inner, make = random_type(rng, max(depth - 1, 0), f"{name}_")
    if kind == 9 and isinstance(inner, list):
        return inner, make
    if kind == 9:
        return ["null", inner], lambda: None if rng.random() < 0.3 else make()
    if kind == 10:
        return ({"type": "array", "items": inner},
                lambda: [make() for _ in range(rng.randrange(4))])
    if kind == 11:
        return ({"type": "map", "values": inner},
                lambda: {rng.choice(TEXTS): make() for _ in range(rng.randrange(4))})
    return ({"type": "record", "name": f"R{name}", "fields": [{"name": "in", "type": inner}]},
            lambda: {"in": make()})


def random_schema(rng):
    fields, makers = [], []
    for i in range(rng.randrange(1, 7)):
        kind, make = random_type(rng, 2, str(i))
        fields.append({"name": f"f{i}", "type": kind})
        makers.append((f"f{i}", make))
    at = rng.randrange(len(fields) + 1)
    fields.insert(at, {"name": "x", "type": rng.choice(["float", "double", ["null", "float"]])})
    makers.insert(at, ("x", lambda: float(rng.randrange(-999, 999))))
    schema = fastavro.parse_schema({"type": "record", "name": "shop.Row", "fields": fields})
    return schema, lambda: {name: make() for name, make in makers}


def as_json(value):
    """What a value is in JSON lines: bytes are a character for each."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value


def seeded(number):
    print(f"    seed {number}")
    return random.Random(number)
