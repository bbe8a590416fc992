"""Files that are damaged or meant to harm: a clear error, no output, in bounded memory."""
import os
import resource
import struct
import zlib

import numpy as np
from backports import zstd

from rows import CODECS, Folder, double_model, score, write_avro

SCHEMA = {"type": "record", "name": "r", "fields": [{"name": "x", "type": "float"},
                                                   {"name": "t", "type": "string"}]}


def start(rows=2000, codec="null"):
    folder = Folder()
    double_model(folder.path("m.onnx"))
    write_avro(folder.path("in.avro"), SCHEMA, [{"x": 1.0, "t": "word" * (i % 9)} for i in range(rows)],
               codec, sync_interval=2000)
    return folder, open(folder.path("in.avro"), "rb").read()


def refused(folder, data, *texts, name="bad.avro", code=2, limit_mb=None):
    with open(folder.path(name), "wb") as to:
        to.write(data)
    limit = (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit_mb << 20,) * 2)) \
        if limit_mb and "asan" not in os.environ.get("MILLRACE", "") else None
    done = score(folder.path("m.onnx"), folder.path(name), folder.path("out.avro"), "--restart",
                 code=code, preexec_fn=limit)
    assert not os.path.exists(folder.path("out.avro"))
    assert any(text in done.stderr for text in texts), (texts, done.stderr)


def test_a_container_cut_anywhere_is_refused():
    for codec in CODECS:
        folder, data = start(300, codec)
        header = data.index(data[-16:]) + 16
        for size in [0, 3, 4, 20, header - 1]:
            refused(folder, data[:size], "no Avro container", "header")
        for size in range(header + 1, len(data), max(1, len(data) // 15)):
            if not data[:size].endswith(data[-16:]):
                refused(folder, data[:size], "cut", "no block")


def test_a_wrong_sync_marker_a_wrong_checksum_and_wrong_counts_are_refused():
    folder, data = start()
    sync = data[-16:]
    at = data.index(sync, data.index(sync) + 16)
    refused(folder, data[:at] + b"\0" * 16 + data[at + 16:], "sync marker")
    folder, data = start(codec="snappy")
    at = data.index(data[-16:], data.index(data[-16:]) + 16)
    refused(folder, data[:at - 1] + bytes([data[at - 1] ^ 1]) + data[at:], "checksum")
    for codec in CODECS[1:]:
        folder, data = start(codec=codec)
        sync = data[-16:]
        first = data.index(sync) + 16
        for at in range(first + 4, first + 60, 7):
            broken = bytearray(data)
            broken[at] ^= 0x55
            with open(folder.path("b.avro"), "wb") as to:
                to.write(broken)
            done = score_any(folder)
            assert done in (0, 1, 2)
    folder, data = start()
    head = data[:data.index(data[-16:]) + 16]
    refused(folder, head + block(head, 10**9, b"\0" * 50), "more records")
    refused(folder, head + block(head, -3, b"\0" * 50), "negative")
    refused(folder, head + zigzag(1) + zigzag(1 << 40), "over 64 MiB")
    refused(folder, head + block(head, 3, b"\0" * 4 + b"\x02a" + b"\0" * 4), "damaged", "more records")


def score_any(folder):
    import subprocess
    from rows import MILLRACE
    done = subprocess.run([MILLRACE, "score", folder.path("m.onnx"), folder.path("b.avro"),
                           folder.path("o.avro"), "--restart"], capture_output=True, text=True, timeout=60)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done.returncode


def zigzag(value):
    value = (value << 1) ^ (value >> 63)
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block(head, count, data):
    return zigzag(count) + zigzag(len(data)) + data + head[-16:]


def test_blocks_that_unpack_to_gigabytes_are_refused_in_little_memory():
    for codec in ["deflate", "zstandard", "snappy"]:
        folder, data = start(10, codec)
        head = data[:data.index(data[-16:]) + 16]
        huge = b"\0" * (1 << 27)
        if codec == "deflate":
            pack = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = pack.compress(huge) + pack.flush()
        elif codec == "zstandard":
            packed = zstd.compress(huge, options={zstd.CompressionParameter.content_size_flag: 0})
        else:  # claims 4 GiB - 1
            packed = b"\xff\xff\xff\xff\x0f" + b"\0" * 20
        refused(folder, head + block(head, 1, packed), "more than 67108864 bytes", limit_mb=1500)
        if codec == "zstandard":
            small = zstd.compress(b"\0" * (60 << 20))
            many = b"".join(block(head, 1, small) for _ in range(20))
            refused(folder, head + many, "256 MiB", "damaged", limit_mb=3000)


def test_schemas_that_are_none_or_too_deep_are_refused():
    folder, data = start(1)
    def container(schema, codec=b"null"):
        return (b"Obj\x01" + zigzag(2) + zigzag(11) + b"avro.schema" + zigzag(len(schema)) + schema +
                zigzag(10) + b"avro.codec" + zigzag(len(codec)) + codec + b"\0" + b"s" * 16)
    refused(folder, container(b"{"), "schema")
    refused(folder, container(b'"string"'), "no records")
    refused(folder, container(b'{"type":"record","name":"r","fields":[]}'), "hold nothing")
    refused(folder, container(b'"string"', b"brotli"), "codec")
    nested = b'"int"'
    for _ in range(100):
        nested = b'{"type":"array","items":' + nested + b"}"
    refused(folder, container(b'{"type":"record","name":"r","fields":[{"name":"x","type":' + nested + b"}]}"),
            "deep", "64")


def test_text_that_has_no_end_or_is_no_text_is_refused():
    folder, _ = start(1)
    refused(folder, b"", "empty", name="bad.csv")
    refused(folder, b"x\n1\n" + b'"' + b"a" * (34 << 20), "longer than", "open", name="bad.csv",
            limit_mb=1500)
    refused(folder, b"x\n1\n" + b"1" * (40 << 20), "longer than", name="bad.csv", limit_mb=1500)
    refused(folder, b"\xff\xfe\x00x\n1\n", "UTF-8", name="bad.csv")
    refused(folder, b"x,x\n1,2\n", "two columns are called 'x'", name="bad.csv")
    refused(folder, b"", "empty", name="bad.jsonl")
    refused(folder, b"[1]\n", "no JSON object", name="bad.jsonl")
    refused(folder, b'{"x":1}\n' + b'{"x":' + b"[" * 100000 + b"\n", "row 2", name="bad.jsonl", code=1)
    refused(folder, b'{"x":1}\n' + b'{"x":1,"x":2}\n', "row 2", name="bad.jsonl", code=1)
    refused(folder, b'{"a":' * 60 + b"1" + b"}" * 60 + b"\n", "input 'x'", name="bad.jsonl")


def test_npy_files_whose_shape_is_not_theirs_are_refused():
    folder, _ = start(1)
    np.save(folder.path("x.npy"), np.zeros((4, 1), "f4"))
    data = open(folder.path("x.npy"), "rb").read()
    refused(folder, data[:-1], "needs 16 bytes", name="bad.npy")
    refused(folder, data.replace(b"(4, 1)", b"(9, 1)"), "needs 36 bytes", name="bad.npy")
    refused(folder, data.replace(b"(4, 1)", b"()    "), "needs 4 bytes", "without rows", name="bad.npy")
    refused(folder, data[:20], "header", "cut", name="bad.npy")
