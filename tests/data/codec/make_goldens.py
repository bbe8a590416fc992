#!/usr/bin/env python3
"""Writes goldens.json: jobs as another program encodes them, and what they hold.

Needs numpy and fastavro.  The messages come from fastavro or, for the block layouts that
fastavro never writes, from the small encoder below, whose bytes fastavro must read back to
the same job.  The output depends on nothing but this file and the schemas:

    python3 tests/data/codec/make_goldens.py
"""
import io
import json
import pathlib
import random
import struct

import fastavro
import numpy as np
from fastavro.schema import fingerprint, to_parsing_canonical_form

HERE = pathlib.Path(__file__).parent
SCHEMAS = HERE.parent.parent.parent / "schemas"
DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64",
          "uint8", "uint16", "uint32", "uint64", "bool", "string"]
KINDS = ["bytes", "float", "double", "int", "long", "boolean", "string"]
LAYOUTS = ["fastavro", "blocks", "sized", "mixed"]
rng = random.Random(20)


# ---- an encoder that lays blocks out as it is told --------------------------------------
def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def text(value):
    raw = value if isinstance(value, bytes) else value.encode()
    return varint(len(raw)) + raw


def blocks(items, layout):
    """Encoded items as an array or map: blocks of three, with sizes or without."""
    out = b""
    for k, i in enumerate(range(0, len(items), 3)):
        part = items[i:i + 3]
        body = b"".join(part)
        sized = layout == "sized" or (layout == "mixed" and k % 2 == 0)
        out += varint(-len(part)) + varint(len(body)) if sized else varint(len(part))
        out += body
    return out + b"\0"


ITEM = {
    "float": lambda v: struct.pack("<f", v), "double": lambda v: struct.pack("<d", v),
    "int": varint, "long": varint, "boolean": lambda v: bytes([v]), "string": text,
}


def encode(job, kinds, layout):
    out = text(job["id"]) + text(job["model"])
    out += b"\0" if job["version"] is None else b"\2" + text(job["version"])
    out += b"\0" if job["deadline_ms"] is None else b"\2" + varint(job["deadline_ms"])
    out += blocks([text(k) + text(v) for k, v in job["headers"].items()], layout)
    tensors = []
    for tensor, kind in zip(job["inputs"], kinds):
        raw = text(tensor["name"]) + varint(DTYPES.index(tensor["dtype"]))
        raw += blocks([varint(d) for d in tensor["shape"]], layout)
        raw += varint(KINDS.index(kind))
        if kind == "bytes":
            raw += text(tensor["data"])
        else:
            raw += blocks([ITEM[kind](v) for v in tensor["data"]], layout)
        tensors.append(raw)
    return out + blocks(tensors, layout)


def branch(kind):
    return "bytes" if kind == "bytes" else {"type": "array", "items": kind}


def encode_fastavro(schema, job, kinds):
    """The union's branch is chosen by us: a list of ints would fit several."""
    narrow = json.loads(json.dumps(schema))
    types = [f for f in narrow["fields"] if f["name"] == "inputs"][0]["type"]["items"]
    data = [f for f in types["fields"] if f["name"] == "data"][0]
    out = io.BytesIO()
    if len(set(kinds)) == 1:  # one branch alone, and its index put in front of the data
        data["type"] = {"type": "record", "name": "Chosen", "fields": [
            {"name": "branch", "type": "int"}, {"name": "data", "type": branch(kinds[0])}]}
        job = dict(job, inputs=[
            dict(t, data={"branch": KINDS.index(k), "data": t["data"]})
            for t, k in zip(job["inputs"], kinds)])
    fastavro.schemaless_writer(out, fastavro.parse_schema(narrow), job)
    return out.getvalue()


# ---- values -----------------------------------------------------------------------------
def bfloat16_bytes(values):
    bits = np.array(values, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return bits.astype(np.uint16).tobytes()


def element_bytes(dtype, values):
    if dtype == "bfloat16":
        return bfloat16_bytes(values)
    return np.array(values, dtype).tobytes()


def values_for(dtype, kind, count):
    if dtype == "string":
        words = ["", "word", "na\u00efve", "\u65e5\u672c", "\U0001f980", "x" * 40]
        return [rng.choice(words) for _ in range(count)]
    if dtype == "bool":
        return [rng.random() < 0.5 for _ in range(count)]
    if "int" in dtype:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if kind == "int":
            low, high = max(low, -2**31), min(high, 2**31 - 1)
        if kind == "long":
            high = min(high, 2**63 - 1)
        if kind == "float":
            low, high = max(low, -2**24), min(high, 2**24)
        if kind == "double":
            low, high = max(low, -2**53), min(high, 2**53)
        edges = [low, high, 0, 1, high // 2]
        edges += [rng.randint(low, high) >> rng.randint(0, 40) for _ in range(count)]
        return [min(max(v, low), high) for v in edges[:count]]
    if kind in ("int", "long"):
        return [rng.randint(-2000, 2000) for _ in range(count)]
    scale = 1.0 if dtype in ("float16", "bfloat16") else 1e30
    values = [rng.uniform(-scale, scale) for _ in range(count)]
    if dtype == "float16":
        values = ([1e-7, 65504.0, 5.9604645e-8, 2.0009765625] + values)[:count]
    if kind == "float" or dtype == "bfloat16":
        values = [float(np.float32(v)) for v in values]
    return values


def kinds_of(dtype):
    if dtype == "string":
        return ["string"]
    if dtype == "bool":
        return ["bytes", "boolean"]
    return ["bytes", "float", "double", "int", "long"]


def tensor_of(name, dtype, kind, shape):
    count = int(np.prod(shape, dtype=np.int64))
    values = values_for(dtype, kind, count)
    if dtype == "string":
        expected = {"strings": values}
    else:
        expected = {"hex": element_bytes(dtype, values).hex()}
    data = element_bytes(dtype, values) if kind == "bytes" else values
    tensor = {"name": name, "dtype": dtype, "shape": list(shape), "data": data}
    return tensor, dict(expected, name=name, dtype=dtype, shape=list(shape), kind=kind)


def job_of(number, chosen):
    """`chosen`: (dtype, kind, shape) of each input."""
    pairs = [tensor_of(f"in{i}", *c) for i, c in enumerate(chosen)]
    headers = {f"key{i}": f"v\u00e4lue {i}" * i for i in range(number % 5)}
    return {
        "id": f"job-{number:04}" if number % 7 else "\u00e9\u65e5\U0001f980",
        "model": ["", "digits", "text/v2"][number % 3],
        "version": [None, "3"][number % 2],
        "deadline_ms": [None, 1700000000000, -1][number // 2 % 3],
        "headers": headers, "inputs": [p[0] for p in pairs],
    }, [p[1] for p in pairs]


def cases():
    shapes = [(7,), (2, 4), (), (0,), (1, 5), (10,)]
    number = 0
    for dtype in DTYPES:
        for kind in kinds_of(dtype):
            layouts = LAYOUTS if kind != "bytes" else LAYOUTS[:1]
            for layout in layouts:
                number += 1
                yield number, [(dtype, kind, shapes[number % len(shapes)])], layout
    for layout in LAYOUTS[1:]:
        number += 1
        many = [(d, kinds_of(d)[number % len(kinds_of(d))], (3,)) for d in DTYPES]
        yield number, many, layout


def main():
    schema = json.loads((SCHEMAS / "inference_job.avsc").read_text())
    parsed = fastavro.parse_schema(schema)
    out = {"schemas": {}, "jobs": []}
    for name in ("inference_job", "inference_result"):
        form = to_parsing_canonical_form(json.loads((SCHEMAS / f"{name}.avsc").read_text()))
        out["schemas"][name] = {"canonical": form,
                                "fingerprint": fingerprint(form, "CRC-64-AVRO")}
    mark = b"\xc3\x01" + bytes.fromhex(out["schemas"]["inference_job"]["fingerprint"])
    for number, chosen, layout in cases():
        job, expected = job_of(number, chosen)
        kinds = [e["kind"] for e in expected]
        if layout == "fastavro":
            raw = encode_fastavro(schema, job, kinds)
        else:
            raw = encode(job, kinds, layout)
        back = fastavro.schemaless_reader(io.BytesIO(raw), parsed, None)
        again = fastavro.schemaless_reader(
            io.BytesIO(encode(job, kinds, "blocks")), parsed, None)
        assert back == again and back["id"] == job["id"], number
        if number % 4 == 0:
            raw = mark + raw
        out["jobs"].append({
            "layout": layout, "message": raw.hex(), "id": job["id"], "model": job["model"],
            "version": job["version"], "deadline_ms": job["deadline_ms"],
            "header_count": len(job["headers"]), "inputs": expected})
    lines = ",\n".join(json.dumps(j) for j in out["jobs"])
    text_out = '{"schemas": %s,\n"jobs": [\n%s\n]}\n' % (json.dumps(out["schemas"]), lines)
    (HERE / "goldens.json").write_text(text_out)


if __name__ == "__main__":
    main()
