#!/usr/bin/env python3
"""Writes schemas.json: schemas, their Parsing Canonical Form and CRC-64-AVRO.

Both come from fastavro; for the primitive types the fingerprints are also those that Apache
Avro publishes (share/test/data/schema-tests.txt), which are checked here.

    python3 tests/data/codec/make_schemas.py
"""
import json
import pathlib

from fastavro.schema import fingerprint, to_parsing_canonical_form

PUBLISHED = {
    "null": 7195948357588979594, "boolean": -6970731678124411036,
    "int": 8247732601305521295, "long": -3434872931120570953,
    "float": 5583340709985441680, "double": -8181574048448539266,
    "bytes": 5746618253357095269, "string": -8142146995180207161,
}

SCHEMAS = [
    *PUBLISHED,
    {"type": "int", "logicalType": "date"},
    {"type": "array", "items": "double"},
    {"type": "map", "values": {"type": "array", "items": "string"}},
    ["null", "string", {"type": "map", "values": "long"}],
    {"type": "fixed", "name": "Md5", "namespace": "a.b", "size": 16, "doc": "gone"},
    {"type": "enum", "name": "x.Suit", "symbols": ["SPADES", "HEARTS"], "default": "HEARTS",
     "aliases": ["Colour"]},
    {"type": "record", "name": "Test", "fields": []},
    {"name": "o.a.Order", "doc": "gone \" too", "type": "record", "aliases": ["Old"],
     "fields": [
         {"name": "id", "type": {"type": "string", "logicalType": "uuid"}, "order": "ignore"},
         {"name": "price", "default": "\u0000", "type": {
             "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
         {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 4}},
         {"name": "again", "type": ["null", "Hash"], "default": None},
         {"name": "third", "type": "o.a.Hash"},
         {"name": "far", "type": {"type": "enum", "name": "b.Kind", "symbols": ["A", "B"]}},
         {"name": "near", "type": {"type": "record", "name": "Line", "namespace": "o.c",
                                   "fields": [{"name": "kind", "type": "b.Kind"},
                                              {"name": "n", "type": "int", "default": 3},
                                              {"name": "sub", "type": {
                                                  "type": "record", "name": "Sub",
                                                  "fields": [{"name": "x", "type": "long"}]}}]}},
         {"name": "lines", "type": {"type": "array", "items": "o.c.Sub"}},
     ]},
]


def main():
    cases = []
    for schema in SCHEMAS:
        canonical = to_parsing_canonical_form(schema)
        crc = fingerprint(canonical, "CRC-64-AVRO")
        number = int.from_bytes(bytes.fromhex(crc), "little")
        if isinstance(schema, str) and schema in PUBLISHED:
            assert number == PUBLISHED[schema] % 2**64, schema
        cases.append({"schema": json.dumps(schema), "canonical": canonical,
                      "fingerprint": f"{number:016x}"})
    path = pathlib.Path(__file__).parent / "schemas.json"
    path.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


main()
