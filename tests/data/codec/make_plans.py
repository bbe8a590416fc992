#!/usr/bin/env python3
"""Writes plans.json: records, the schemas they are written and read with, and what fastavro
makes of each value.

Messages come from the encoder below, which lays blocks out in all the ways that Avro allows;
fastavro reads them with both schemas, and its values, by path, are what a plan must give.
The output depends on nothing but this file:

    python3 tests/data/codec/make_plans.py
"""
import decimal
import io
import json
import pathlib
import random
import struct

import fastavro

rng = random.Random(7)
LAYOUTS = ["one", "blocks", "sized"]


# ---- an encoder that lays blocks out as it is told --------------------------------------
def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def raw(value):
    value = value if isinstance(value, bytes) else value.encode()
    return varint(len(value)) + value


def blocks(items, layout):
    step = len(items) if layout == "one" else 2
    out = b""
    for i in range(0, len(items), max(step, 1)):
        part = items[i:i + step]
        body = b"".join(part)
        out += varint(-len(part)) + varint(len(body)) if layout == "sized" else varint(len(part))
        out += body
    return out + b"\0"


def branch_of(union, value):
    """A value is (branch index, value) in a union."""
    return union[value[0]], value[1]


def encode(schema, value, layout, names):
    if isinstance(schema, list):
        branch, inner = branch_of(schema, value)
        return varint(value[0]) + encode(branch, inner, layout, names)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in names:
        return encode(names[kind], value, layout, names)
    if isinstance(schema, dict) and "name" in schema:
        names[schema["name"]] = schema
    if kind == "null":
        return b""
    if kind == "boolean":
        return bytes([value])
    if kind in ("int", "long"):
        return varint(value)
    if kind == "float":
        return struct.pack("<f", value)
    if kind == "double":
        return struct.pack("<d", value)
    if kind in ("bytes", "string"):
        return raw(value)
    if kind == "fixed":
        return value
    if kind == "enum":
        return varint(schema["symbols"].index(value))
    if kind == "array":
        return blocks([encode(schema["items"], v, layout, names) for v in value], layout)
    if kind == "map":
        return blocks([raw(k) + encode(schema["values"], v, layout, names)
                       for k, v in value.items()], layout)
    assert kind == "record", kind
    return b"".join(encode(f["type"], value[f["name"]], layout, names) for f in schema["fields"])


# ---- paths -------------------------------------------------------------------------------
def paths_of(schema, keys, names, path=""):
    if isinstance(schema, list):
        for branch in schema:
            yield from paths_of(branch, keys, names, path)
        return
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind in names:
        yield from paths_of(names[kind], keys, names, path)
        return
    if isinstance(schema, dict) and "name" in schema:
        names[schema["name"]] = schema
    dot = path + "." if path else ""
    if kind == "record":
        for field in schema["fields"]:
            yield from paths_of(field["type"], keys, names, dot + field["name"])
    elif kind == "array":
        yield from paths_of(schema["items"], keys, names, path)
    elif kind == "map":
        for key in keys:
            yield from paths_of(schema["values"], keys, names, dot + key)
    elif kind != "null":
        yield path


def plain(value):
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return value


def at_path(value, names):
    """(values, is it a list)"""
    if isinstance(value, list):
        out = []
        for item in value:
            out += at_path(item, names)[0]
        return out, True
    if not names:
        return [plain(value) if not isinstance(value, dict) else None], False
    if not isinstance(value, dict):
        return [None], False
    return at_path(value.get(names[0]), names[1:])


def strip(schema):
    """Without dates and times, which fastavro would turn into objects."""
    if isinstance(schema, list):
        return [strip(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: v for k, v in schema.items()
           if k != "logicalType" or v == "decimal"}
    for key in ("type", "items", "values"):
        if key in out and not isinstance(out[key], str):
            out[key] = strip(out[key])
    if "fields" in out:
        out["fields"] = [strip(f) for f in out["fields"]]
    return out


CASES = []


def case(name, writer, reader, value, keys=("a", "b"), error=None):
    for layout in LAYOUTS:
        message = encode(writer, value, layout, {})
        entry = {"name": f"{name}, {layout}", "writer": json.dumps(writer),
                 "reader": json.dumps(reader) if reader is not None else None,
                 "message": message.hex()}
        if error is not None:
            entry["error"] = error
            try:
                fastavro.schemaless_reader(io.BytesIO(message), strip(writer), strip(reader))
            except Exception:
                pass
            else:
                raise AssertionError(f"{name}: fastavro takes it")
        else:
            record = fastavro.schemaless_reader(
                io.BytesIO(message), strip(writer), strip(reader) if reader is not None else None)
            entry["values"] = []
            paths = list(dict.fromkeys(paths_of(reader if reader is not None else writer,
                                                keys, {})))
            for path in paths:
                values, listed = at_path(record, path.split("."))
                entry["values"].append({"path": path, "list": listed, "values": values})
        CASES.append(entry)
        if message == encode(writer, value, "blocks", {}) and layout == "one" \
                and message == encode(writer, value, "sized", {}):
            break


def record(*fields, name="R", **more):
    out = []
    for field in fields:
        entry = {"name": field[0], "type": field[1]}
        if len(field) > 2:
            entry["default"] = field[2]
        if len(field) > 3:
            entry["aliases"] = field[3]
        out.append(entry)
    return {"type": "record", "name": name, "fields": out, **more}


def array(items):
    return {"type": "array", "items": items}


def mapped(values):
    return {"type": "map", "values": values}


def enum(name, symbols, **more):
    return {"type": "enum", "name": name, "symbols": symbols, **more}


def fixed(name, size, **more):
    return {"type": "fixed", "name": name, "size": size, **more}


def promotions():
    values = {"int": 7, "long": 1 << 40, "float": 1.5, "double": -2.25, "string": "txt",
              "bytes": b"txt", "boolean": True}
    to = {"int": ["int", "long", "float", "double"], "long": ["long", "float", "double"],
          "float": ["float", "double"], "double": ["double"], "string": ["string", "bytes"],
          "bytes": ["bytes", "string"], "boolean": ["boolean"]}
    for w, value in values.items():
        for r in values:
            error = None if r in to[w] else f"{w} cannot be read as {r}"
            case(f"{w} to {r}", record(("x", w)), record(("x", r)), {"x": value}, error=error)
            if error is None:
                case(f"array of {w} to {r}", record(("x", array(w))), record(("x", array(r))),
                     {"x": [value] * 3})
                case(f"map of {w} to {r}", record(("x", mapped(w))), record(("x", mapped(r))),
                     {"x": {"b": value, "c": value, "a": value}})


def evolution():
    old = record(("id", "long"), ("name", "string"), ("gone", array("string")),
                 ("price", "float"), ("gone2", mapped(["null", "long"])))
    value = {"id": -3, "name": "n", "gone": ["a", "b", "c"], "price": 0.5,
             "gone2": {"p": (0, None), "q": (1, 5), "r": (1, 6)}}
    new = record(("price", "double"), ("added", "int", 42), ("title", "string", "?", ["name"]),
                 ("id", "double"), ("text", "string", "d\u00e9"), ("flag", "boolean", True),
                 ("real", "double", 1.25), ("raw", "bytes", "a\u0000b"),
                 ("kind", enum("K", ["X", "Y"]), "Y"), ("list", array("int"), [1, 2, 3]),
                 ("map", mapped("float"), {"a": 2.5}),
                 ("opt", ["null", "long"], None), ("opt2", ["long", "null"], 9),
                 ("sub", record(("p", "int"), ("q", array("double"), [0.5]), name="Sub"),
                  {"p": 8, "q": [2.5, 3.5]}), name="R2", aliases=["R"])
    case("reordered, renamed, removed, added", old, new, value)
    case("nothing is left but defaults", old, record(("x", "int", 1), name="R"), value)
    case("an added field without a default", old, record(("id", "long"), ("x", "int")), value,
         error="'x' of the reader's schema is not written")
    case("records in records", record(("c", record(
        ("a", record(("zip", "string"), ("lat", "double"), name="A")), ("n", "int"), name="C"))),
        record(("c", record(("n", "long"), ("a", record(
            ("lat", "double"), ("zip", "bytes"), ("lon", "float", 0.25), name="A")), name="C"))),
        {"c": {"a": {"zip": "8000", "lat": 47.5}, "n": 3}})
    case("lists of records", record(("l", array(record(
        ("p", "float"), ("q", "int"), ("s", "string"), name="L")))),
        record(("l", array(record(("s", "string"), ("q", "double"), ("u", "int", 4),
                                  name="L")))),
        {"l": [{"p": 1.0, "q": i, "s": f"s{i}"} for i in range(5)]})
    case("no lists of records", record(("l", array(record(("p", "float"), name="L")))), None,
         {"l": []})
    case("lists in lists", record(("m", array(array("float"))), ("t", array(array(array("int"))))),
         None, {"m": [[1, 2, 3], [4, 5, 6]], "t": [[[1], [2]], [[3], [4]], [[5], [6]]]})
    case("a record of nothing", record(("e", record(name="E")), ("n", "null"), ("x", "int"),
                                       ("l", array(record(name="E2"))), ("ln", array("null"))),
         None, {"e": {}, "n": None, "x": 1, "l": [{}] * 5, "ln": [None] * 3})


def unions():
    for value in [(0, None), (1, 7), (2, "t"), (3, 2.5)]:
        case(f"a union of four, {value[0]}", record(
            ("before", "int"), ("u", ["null", "long", "string", "double"]), ("after", "long")),
            record(("u", ["string", "null", "double", "long"]), ("after", "long")),
            {"before": 1, "u": value, "after": 2})
    for value in [(0, None), (1, 1.5)]:
        case(f"nullable, {value[0]}", record(("u", ["null", "float"]), ("x", "int")), None,
             {"u": value, "x": 5})
        case(f"nullable last, {value[0]}", record(("u", ["float", "null"]), ("x", "int")),
             record(("u", ["null", "double"]), ("x", "int")),
             {"u": (1 - value[0], value[1]), "x": 5})
    case("a union to its branch", record(("u", ["null", "int"])), record(("u", "long")),
         {"u": (1, 3)})
    case("null to what is none", record(("u", ["null", "int"])), record(("u", "long")),
         {"u": (0, None)}, error="null cannot be read as long")
    case("a type to a union", record(("u", "int")), record(("u", ["null", "double", "string"])),
         {"u": 3})
    case("a type to no branch", record(("u", "int")), record(("u", ["null", "string"])),
         {"u": 3}, error="int cannot be read as union")
    a = record(("x", "int"), ("t", "string"), name="A")
    b = record(("y", "double"), ("x", "long"), name="B")
    for value in [(1, {"x": 5, "t": "tt"}), (2, {"y": 0.5, "x": 1 << 40}), (0, None)]:
        case(f"records in a union, {value[0]}", record(("u", ["null", a, b]), ("z", "int")), None,
             {"u": value, "z": 1})
    case("lists in a union", record(("u", ["null", array(["null", "int"])])), None,
         {"u": (1, [(1, 4), (0, None), (1, 6)])})
    case("a map in a union, null", record(("u", ["null", mapped("int")]), ("z", "int")), None,
         {"u": (0, None), "z": 3})


def named():
    sizes = ["S", "M", "L"]
    for symbol in sizes:
        case(f"enum {symbol}", record(("e", enum("Size", sizes))),
             record(("e", enum("Size", ["L", "S", "OTHER"], default="OTHER"))), {"e": symbol})
    case("an enum without a default", record(("e", enum("Size", sizes))),
         record(("e", enum("Size", ["L", "S"]))), {"e": "M"}, error="none of the reader's")
    case("an enum of another name", record(("e", enum("Size", sizes))),
         record(("e", enum("Length", sizes, aliases=["Size"]))), {"e": "M"})
    case("enums in a list", record(("e", array(enum("Size", sizes)))), None,
         {"e": ["M", "S", "L", "S"]})
    case("fixed", record(("f", fixed("F", 4)), ("again", "F")), None,
         {"f": b"\x00\x01\x02\x03", "again": b"abcd"})
    case("fixed of another size", record(("f", fixed("F", 4))), record(("f", fixed("F", 5))),
         {"f": b"abcd"}, error="fixed F cannot be read as fixed F")
    money = {"logicalType": "decimal", "precision": 20, "scale": 2}
    for cents in [0, 1, -1, 199, -12345, 10**12, -(10**17)]:
        size = max(1, (cents.bit_length() + 8) // 8)
        case(f"decimal {cents}", record(("d", {"type": "bytes", **money}),
                                        ("f", fixed("D", 12, **money))), None,
             {"d": cents.to_bytes(size, "big", signed=True),
              "f": cents.to_bytes(12, "big", signed=True)})
    case("dates and times", record(
        ("d", {"type": "int", "logicalType": "date"}),
        ("t", {"type": "long", "logicalType": "timestamp-millis"}),
        ("u", ["null", {"type": "long", "logicalType": "timestamp-micros"}])), None,
        {"d": 19000, "t": -1, "u": (1, 1700000000123456)})


# ---- random schemas and random changes to them ----------------------------------------------
PRIMITIVES = ["int", "long", "float", "double", "boolean", "string", "bytes"]
WIDER = {"int": ["long", "float", "double"], "long": ["float", "double"], "float": ["double"],
         "string": ["bytes"], "bytes": ["string"]}
count = 0


def fresh(prefix):
    global count
    count += 1
    return f"{prefix}{count}"


def random_type(depth):
    pick = rng.random()
    if depth == 0 or pick < 0.45:
        return rng.choice(PRIMITIVES)
    if pick < 0.55:
        return array(random_type(0) if rng.random() < 0.5 else random_type(depth - 1))
    if pick < 0.65:
        return mapped(random_type(depth - 1))
    if pick < 0.75:
        return ["null", rng.choice(PRIMITIVES)]
    if pick < 0.82:
        return enum(fresh("E"), ["A", "B", "C"])
    if pick < 0.88:
        return fixed(fresh("F"), rng.randint(1, 5))
    return random_record(depth - 1)


def random_record(depth):
    return record(*[(fresh("f"), random_type(depth)) for _ in range(rng.randint(1, 5))],
                  name=fresh("R"))


def random_value(schema, items):
    """Lists side by side have one length: `items`."""
    if isinstance(schema, list):
        index = rng.randrange(len(schema))
        return index, random_value(schema[index], items)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "record":
        return {f["name"]: random_value(f["type"], items) for f in schema["fields"]}
    if kind == "array":
        return [random_value(schema["items"], items) for _ in range(items)]
    if kind == "map":
        return {k: random_value(schema["values"], items) for k in rng.sample("abcd", 3)}
    if kind == "enum":
        return rng.choice(schema["symbols"])
    if kind == "fixed":
        return bytes(rng.randrange(128) for _ in range(schema["size"]))
    return {"null": lambda: None, "boolean": lambda: rng.random() < 0.5,
            "int": lambda: rng.choice([0, -1, 63, 64, 2**31 - 1, -2**31, rng.randrange(1000)]),
            "long": lambda: rng.choice([0, -1, 2**40, -2**52, rng.randrange(10**6)]),
            "float": lambda: rng.randrange(-1000, 1000) / 8,
            "double": lambda: rng.randrange(-10**9, 10**9) / 1024,
            "string": lambda: "".join(rng.choice("abc\u00e9 ") for _ in range(rng.randrange(9))),
            "bytes": lambda: bytes(rng.randrange(128) for _ in range(rng.randrange(9)))}[kind]()


def changed(schema, value_safe):
    """A reader's schema that must be able to read it."""
    if isinstance(schema, list):
        return schema if rng.random() < 0.7 else [schema[1], schema[0]]
    if isinstance(schema, str):
        pick = rng.random()
        if value_safe and pick < 0.4 and schema in WIDER:
            return rng.choice(WIDER[schema])
        return [schema, "null"] if pick > 0.85 else schema
    kind = schema["type"]
    if kind == "array":
        return array(changed(schema["items"], value_safe))
    if kind == "map":
        return mapped(changed(schema["values"], value_safe))
    if kind == "enum":
        return dict(schema, symbols=rng.sample(["A", "B", "C", "D"], 4))
    if kind != "record":
        return schema
    fields = []
    for field in schema["fields"]:
        pick = rng.random()
        if pick < 0.15:
            continue
        new = {"name": field["name"], "type": changed(field["type"], value_safe)}
        if pick > 0.85:
            new.update(name=fresh("n"), aliases=[field["name"]])
        fields.append(new)
    if rng.random() < 0.5:
        fields.append({"name": fresh("x"), "type": "double", "default": 0.5})
    rng.shuffle(fields)
    if not fields:
        fields.append({"name": fresh("x"), "type": "int", "default": 3})
    return dict(schema, fields=fields)


def main():
    promotions()
    evolution()
    unions()
    named()
    for i in range(120):
        writer = random_record(3)
        reader = changed(writer, True) if i % 3 else None
        case(f"random {i}", writer, reader, random_value(writer, rng.choice([0, 1, 3, 5])))
    path = pathlib.Path(__file__).parent / "plans.json"
    path.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in CASES)
                    + "\n]\n")


main()
