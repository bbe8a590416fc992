"""What millrace score reads and writes, held against fastavro, pandas and json."""
import csv
import json

import numpy as np
import onnx
import pandas as pd
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from rows import (CODECS, Folder, as_json, double_model, random_schema, read_avro, read_jsonl,
                  score, seeded, write_avro)


def test_any_record_comes_back_with_its_prediction_through_every_codec():
    rng = seeded(1)
    folder = Folder()
    model, out = folder.path("m.onnx"), folder.path("out.avro")
    double_model(model)
    for case in range(16):
        schema, make = random_schema(rng)
        rows = [make() for _ in range(rng.choice([0, 1, 3, 400]))]
        codec, to = CODECS[case % 4], CODECS[case // 4 % 4]
        write_avro(folder.path("in.avro"), schema, rows, codec,
                   sync_interval=rng.choice([1, 300, 16000]))
        score(model, folder.path("in.avro"), out, "--codec", to)
        assert read_avro(out) == [row | {"y": 2 * row["x"]} for row in rows], case


def test_any_record_is_the_same_in_json_lines():
    rng = seeded(2)
    folder = Folder()
    model, out = folder.path("m.onnx"), folder.path("out.jsonl")
    double_model(model)
    for case in range(12):
        schema, make = random_schema(rng)
        rows = [make() for _ in range(50)]
        write_avro(folder.path("in.avro"), schema, rows)
        score(model, folder.path("in.avro"), out)
        got, expected = read_jsonl(out), [as_json(r) | {"y": 2 * r["x"]} for r in rows]
        for a, b in zip(got, expected, strict=True):
            assert same(a, b), (case, a, b)


def same(a, b):
    """Floats that Avro holds in 32 bits are written by as few digits as tell them."""
    if isinstance(b, float):
        return isinstance(a, (int, float)) and (a == b or np.float32(a) == np.float32(b))
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in b)
    if isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def random_frame(rng, rows):
    texts = ["plain", 'a "quoted" one', "with, comma", "two\nlines", "näïve", "", " x ", "O'K",
             '"', '""', "a\r\nb", "5\" pipe"]
    return pd.DataFrame({
        "id": [rng.getrandbits(50) for _ in range(rows)],
        "text, with comma": [rng.choice(texts) for _ in range(rows)],
        "x": [rng.choice([rng.gauss(0, 1), float(rng.randrange(9)), None]) for _ in range(rows)],
        "flag": [rng.random() < 0.5 for _ in range(rows)],
        "tail": [rng.choice(texts) for _ in range(rows)]})


def test_csv_comes_back_as_it_was_however_it_was_written():
    rng = seeded(3)
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    for case in range(12):
        frame = random_frame(rng, rng.choice([1, 2, 50, 3000]))
        frame.loc[0, "x"] = 0.5
        name = rng.choice(["in.csv", "in.tsv"])
        text = frame.to_csv(index=False, lineterminator=rng.choice(["\n", "\r\n"]),
                            sep="\t" if name == "in.tsv" else ",",
                            quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL,
                                                csv.QUOTE_NONNUMERIC]))
        if rng.random() < 0.5:
            text = text.rstrip("\r\n")
        with open(folder.path(name), "wb") as to:
            to.write((b"\xef\xbb\xbf" if rng.random() < 0.3 else b"") + text.encode())
        out = folder.path(name.replace("in", "out"))
        score(model, folder.path(name), out)
        sep = "\t" if name == "in.tsv" else ","
        options = {"sep": sep, "keep_default_na": False, "dtype": str}
        before = pd.read_csv(folder.path(name), **options)
        after = pd.read_csv(out, **options)
        assert list(after.columns) == [*frame.columns, "y"]
        pd.testing.assert_frame_equal(before, after[list(frame.columns)])
        y = pd.to_numeric(after["y"], errors="coerce").to_numpy("float32")
        x = frame["x"].to_numpy("float32")
        np.testing.assert_array_equal(y, x + x)


def test_csv_becomes_avro_and_json_lines_with_its_types():
    rng = seeded(4)
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    frame = random_frame(rng, 500)
    frame.to_csv(folder.path("in.csv"), index=False)
    score(model, folder.path("in.csv"), folder.path("out.avro"))
    score(model, folder.path("in.csv"), folder.path("out.jsonl"))
    records, lines = read_avro(folder.path("out.avro")), read_jsonl(folder.path("out.jsonl"))
    for i, row in enumerate(frame.itertuples(index=False)):
        x = None if np.isnan(row.x) else row.x
        expected = [row.id, row[1] or None, x, bool(row.flag), row.tail or None]
        assert list(records[i].values())[:5] == expected, i
        assert list(lines[i].values())[:5] == expected, i
        y = records[i]["y"]
        assert np.isnan(y) and lines[i]["y"] is None if x is None else \
            y == 2 * np.float32(x) == np.float32(lines[i]["y"])
    assert list(lines[0])[:5] == list(frame.columns)
    assert list(records[0])[1] == "text__with_comma"


def test_avro_becomes_csv_that_pandas_reads():
    rng = seeded(5)
    folder = Folder()
    model, out = folder.path("m.onnx"), folder.path("out.csv")
    double_model(model)
    schema = {"type": "record", "name": "r", "fields": [
        {"name": "x", "type": "float"}, {"name": "d", "type": "double"},
        {"name": "t", "type": ["null", "string"]}, {"name": "l", "type": {"type": "array", "items": "int"}},
        {"name": "b", "type": "boolean"}]}
    rows = [{"x": rng.gauss(0, 1), "d": rng.gauss(0, 1) * 10.0**rng.randrange(-300, 300),
             "t": rng.choice([None, 'a,"b"', "c\nd", "e"]), "l": [1, 2], "b": True}
            for _ in range(2000)]
    write_avro(folder.path("in.avro"), schema, rows)
    score(model, folder.path("in.avro"), out)
    frame = pd.read_csv(out, keep_default_na=False,
                        dtype={"x": "float32", "y": "float32"})
    assert frame["d"].tolist() == [r["d"] for r in rows]
    assert frame["x"].tolist() == [np.float32(r["x"]) for r in rows]
    assert frame["t"].tolist() == [r["t"] or "" for r in rows]
    assert frame["l"].tolist() == ["[1,2]"] * len(rows)
    np.testing.assert_array_equal(frame["y"], 2 * frame["x"])


def test_numbers_are_read_and_written_to_the_last_bit():
    rng = seeded(6)
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    bits = np.array([rng.getrandbits(64) for _ in range(8000)], dtype=np.uint64).view("f8")
    texts = [repr(v) for v in bits[np.isfinite(bits)].tolist()]
    texts += [repr(rng.uniform(-1, 1)) for _ in range(8000)]
    texts += [f"{rng.randrange(10**18)}.{rng.randrange(10**rng.randrange(1, 18))}" for _ in range(4000)]
    texts += ["1e23", "9007199254740993", "0.1e-5", "+1.5", "-0.0", "1.", ".5", "0000001",
              "8.41e21", "9223372036854775807", "1e-400", "123456789012345678901234567890",
              "0.000000000000000000000000000001", "1.00000000000000011102230246251565"]
    with open(folder.path("in.csv"), "w") as to:
        to.write("x,v\n" + "".join(f"1,{t}\n" for t in texts))
    score(model, folder.path("in.csv"), folder.path("out.avro"), "--type", "v=double")
    got = [r["v"] for r in read_avro(folder.path("out.avro"))]
    expected = [float(t) for t in texts]
    assert np.array_equal(np.array(got).view("u8"), np.array(expected).view("u8")), \
        [(t, a) for t, a, b in zip(texts, got, expected) if a != b][:5]
    write_avro(folder.path("d.avro"), {"type": "record", "name": "r", "fields": [
        {"name": "x", "type": "float"}, {"name": "d", "type": "double"}, {"name": "f", "type": "float"}]},
        [{"x": 1.0, "d": v, "f": float(np.float32(v)) if abs(v) < 3e38 else 0.0} for v in expected])
    score(model, folder.path("d.avro"), folder.path("d.jsonl"))
    back = read_jsonl(folder.path("d.jsonl"))
    assert [float(r["d"]) for r in back] == expected
    narrow = [np.float32(v) if abs(v) < 3e38 else np.float32(0) for v in expected]
    assert [np.float32(r["f"]) for r in back] == narrow
    for row, value in zip(back[8000:12000], expected[8000:12000]):
        assert len(json.dumps(row["d"])) <= len(repr(value)) + 1, (row["d"], value)


def test_json_lines_keep_their_text_and_become_avro():
    rng = seeded(7)
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    rows = [{"x": rng.gauss(0, 1), "who": {"name": rng.choice(["Ann", None, "ü\"\n"]), "ages": [1, 2]},
             "tags": [rng.choice("ab") for _ in range(rng.randrange(3))], "n": rng.choice([1, 2.5]),
             "flag": rng.choice([True, None]), "free": rng.choice([1, "one"])} for _ in range(400)]
    with open(folder.path("in.jsonl"), "w") as to:
        for i, row in enumerate(rows):
            to.write(json.dumps(row, ensure_ascii=i % 2 == 0, indent=None,
                                separators=(" , ", " : ") if i % 3 else None) + "\n" * (1 + i % 2))
    score(model, folder.path("in.jsonl"), folder.path("out.jsonl"))
    for got, row in zip(read_jsonl(folder.path("out.jsonl")), rows, strict=True):
        assert np.float32(got.pop("y")) == 2 * np.float32(row["x"])
        assert got == row
    score(model, folder.path("in.jsonl"), folder.path("out.avro"))
    for got, row in zip(read_avro(folder.path("out.avro")), rows, strict=True):
        del got["y"]
        free = got.pop("free")
        assert free == (row["free"] if isinstance(row["free"], str) else json.dumps(row["free"]))
        assert got == {k: v for k, v in row.items() if k != "free"}


def test_npy_of_every_type_is_read_and_answers_are_written():
    folder = Folder()
    model, out = folder.path("m.onnx"), folder.path("out.npy")
    double_model(model, 6)
    base = np.arange(5 * 6).reshape(5, 2, 3)
    for kind in ["f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", ">f4", ">i8", "?"]:
        x = base.astype(kind)
        np.save(folder.path("in.npy"), x)
        score(model, folder.path("in.npy"), out)
        y = np.load(out)
        assert y.dtype == np.float32 and y.shape == (5, 6)
        np.testing.assert_array_equal(y, 2 * x.astype("f4").reshape(5, 6))
    for shape in [(60000, 6), (50, 2, 3)]:  # as pandas gives them; several chunks
        x = np.random.default_rng(5).normal(size=shape).astype(">f8")
        np.save(folder.path("in.npy"), np.asfortranarray(x))
        score(model, folder.path("in.npy"), out)
        assert np.array_equal(np.load(out), x.astype("f4").reshape(-1, 6) * 2)
    np.save(folder.path("in.npy"), np.zeros((0, 6), "f4"))
    score(model, folder.path("in.npy"), out)
    assert np.load(out).shape == (0, 6)


def test_csv_files_larger_than_a_chunk_keep_every_row_in_order():
    rng = seeded(8)
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    frame = random_frame(rng, 30000)
    frame["id"] = range(len(frame))
    frame.to_csv(folder.path("in.csv"), index=False)
    for threads in [1, 4]:
        score(model, folder.path("in.csv"), folder.path("out.csv"), "--threads", threads)
        after = pd.read_csv(folder.path("out.csv"))
        assert after["id"].tolist() == list(range(len(frame)))


def test_fields_are_chosen_and_named():
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model, 3)
    with open(folder.path("in.csv"), "w") as to:
        to.write("a,b,c,y,when\n1,9,3,7,noon\n4,5,6,7,dusk\n")
    maps = ["--map", "x=c,a,b"]
    run = lambda *more: (score(model, folder.path("in.csv"), folder.path("o.csv"), *maps, *more),
                         open(folder.path("o.csv")).read())[1]
    assert run() == ("a,b,c,y,when,y_0,y_1,y_2\n1,9,3,7,noon,6,2,18\n4,5,6,7,dusk,12,8,10\n")
    assert run("--predict", "best=y:label", "--predict", "top=y:score", "--only-predictions") == \
        "best,top\n2,18\n0,12\n"
    assert run("--predict", "first=y:1") == "a,b,c,y,when,first\n1,9,3,7,noon,2\n4,5,6,7,dusk,8\n"
    maps = ["--ignore", "y"]
    assert "2,18,6\n" in run("--only-predictions")
    maps = []
    done = score(model, folder.path("in.csv"), folder.path("o.csv"), code=2)
    assert "takes 3 values a row, and 4 columns hold numbers, a, b, c, y" in done.stderr
    done = score(model, folder.path("in.csv"), folder.path("o.csv"), "--map", "x=a,b,d", code=2)
    assert "there is no column 'd'; there are: a, b, c, y, when" in done.stderr
    for wrong in ["d=long", "a=real", "a"]:
        done = score(model, folder.path("in.csv"), folder.path("o.csv"), "--type", wrong, code=2)
        assert f"--type {wrong}" in done.stderr


def test_columns_are_cut_at_the_delimiter():
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model, 2)
    for delimiter, flag in [(";", ";"), ("\t", "\\t"), ("|", "|")]:
        with open(folder.path("in.csv"), "w") as to:
            to.write(f"a{delimiter}b\n1{delimiter}2\n")
        done = score(model, folder.path("in.csv"), folder.path("out.csv"), code=2)
        assert f"--delimiter '{flag}'?" in done.stderr
        score(model, folder.path("in.csv"), folder.path("out.csv"), "--delimiter", flag)
        assert open(folder.path("out.csv")).read() == \
            "a,b,y_0,y_1\n1,2,2,4\n".replace(",", delimiter)


def test_nothing_is_said_of_values():
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    with open(folder.path("in.csv"), "w") as to:
        to.write("x,s\n" + "1,a\n" * 3 + "SECRET,b\n" + "2,c\n" + "1,2,3\n" + '4,"open\n')
    done = score(model, folder.path("in.csv"), folder.path("out.csv"), "--type", "x=double", code=1)
    assert "row 4: column 'x' is not a number" in done.stderr and "SECRET" not in done.stderr
    score(model, folder.path("in.csv"), folder.path("out.csv"), "--type", "x=double",
          "--on-error", folder.path("bad.jsonl"))
    assert open(folder.path("out.csv")).read() == "x,s,y\n" + "1,a,2\n" * 3 + "2,c,4\n"
    assert read_jsonl(folder.path("bad.jsonl")) == [
        {"row": 4, "error": "column 'x' is not a number"},
        {"row": 6, "error": "it has 3 columns, the first line 2"},
        {"row": 7, "error": "a quote is left open in column 2"}]
    with open(folder.path("in.jsonl"), "w") as to:
        to.write('{"x":1}\n{"x":"SECRET"}\n{SECRET\n[1]\n{"x":3}\n')
    done = score(model, folder.path("in.jsonl"), folder.path("out.jsonl"), "--map", "x=x", "--on-error",
                 folder.path("bad.jsonl"), code=2)
    assert "SECRET" not in done.stderr
    with open(folder.path("in.jsonl"), "w") as to:
        to.write('{"x":1}\n' * 10000 + '{"x":"SECRET"}\n{SECRET\n[1]\n{"x":3}\n')
    score(model, folder.path("in.jsonl"), folder.path("out.jsonl"), "--on-error", folder.path("bad.jsonl"))
    bad = read_jsonl(folder.path("bad.jsonl"))
    assert [b["row"] for b in bad] == [10001, 10002, 10003] and "SECRET" not in json.dumps(bad)
    assert len(read_jsonl(folder.path("out.jsonl"))) == 10001


def test_no_rows_are_no_rows():
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    with open(folder.path("in.csv"), "w") as to:
        to.write("x\n")
    score(model, folder.path("in.csv"), folder.path("out.csv"))
    assert open(folder.path("out.csv")).read() == "x,y\n"
    score(model, folder.path("in.csv"), folder.path("out.avro"))
    assert read_avro(folder.path("out.avro")) == []


def test_missing_numbers_are_nan_or_refused():
    folder = Folder()
    model = folder.path("m.onnx")
    double_model(model)
    with open(folder.path("in.csv"), "w") as to:
        to.write("x\n1\nNA\n3\n")
    score(model, folder.path("in.csv"), folder.path("out.csv"))
    assert open(folder.path("out.csv")).read() == "x,y\n1,2\nNA,nan\n3,6\n"
    done = score(model, folder.path("in.csv"), folder.path("out.csv"), "--missing-fails", code=1)
    assert "row 2" in done.stderr and "'x'" in done.stderr


def test_a_classifier_as_scikit_learn_exports_it_scores_a_file():
    """skl2onnx ends it with a ZipMap, whose output is declared a list of maps."""
    folder = Folder()
    x = np.random.default_rng(3).normal(size=(60, 2)).astype(np.float32)
    classifier = LogisticRegression().fit(x, (x.sum(axis=1) > 0).astype(int))
    onnx.save(to_onnx(classifier, x[:1]), folder.path("m.onnx"))
    np.save(folder.path("in.npy"), x)
    score(folder.path("m.onnx"), folder.path("in.npy"), folder.path("out.jsonl"))
    got = [row["output_probability"] for row in read_jsonl(folder.path("out.jsonl"))]
    assert np.allclose(got, classifier.predict_proba(x), atol=1e-5)
    # A column for each class.
    pd.DataFrame(x, columns=["a", "b"]).to_csv(folder.path("in.csv"), index=False)
    score(folder.path("m.onnx"), folder.path("in.csv"), folder.path("out.csv"))
    table = pd.read_csv(folder.path("out.csv"))
    scores = table[["output_probability_0", "output_probability_1"]].to_numpy()
    assert np.allclose(scores, classifier.predict_proba(x), atol=1e-5)
    score(folder.path("m.onnx"), folder.path("in.npy"), folder.path("out.npy"), "--predict",
          "p=output_probability", "--only-predictions")
    assert np.load(folder.path("out.npy")).shape == (60, 2)


def test_a_configurations_route_scores_a_file_as_the_worker_does():
    """The payments of the fraud example through both its models, file to file."""
    field = lambda name, kind: {"name": name, "type": kind}
    schema = {"type": "record", "name": "Payment", "namespace": "bank", "fields": [
        field("payment_id", "string"),
        field("at", {"type": "long", "logicalType": "timestamp-millis"}),
        field("amount", "double"), field("mean_amount_30d", "double"),
        field("payments_24h", "int"), field("account_days", "int"),
        field("customer_age", ["null", "int"]), field("km_from_home", ["null", "int"]),
        field("card_present", "boolean"), field("category", "string"), field("country", "string")]}
    folder = Folder()
    payments = read_jsonl("tests/data/fraud/payments.jsonl")
    write_avro(folder.path("in.avro"), schema, [item["payment"] for item in payments], "snappy")
    mapping = ["--mapping", "conf/fraud.conf"]
    models = "conf/models/fraud"
    done = score(f"{models}/lightgbm/model.onnx", folder.path("in.avro"), folder.path("a.avro"),
                 *mapping, code=2)
    assert "choose one with --route" in done.stderr
    score(f"{models}/lightgbm/model.onnx", folder.path("in.avro"), folder.path("a.avro"), *mapping,
          "--route", "payments")
    score(f"{models}/sklearn/model.onnx", folder.path("a.avro"), folder.path("b.jsonl"), *mapping,
          "--route", "payments.scored")
    for got, item in zip(read_jsonl(folder.path("b.jsonl")), payments, strict=True):
        assert abs(got.pop("score") - item["lightgbm"]) < 1e-5
        assert abs(got["second_opinion"] - item["sklearn"]) < 1e-5
        assert got.pop("verdict") == ("suspicious" if got.pop("second_opinion") > 0.5 else "fine")
        assert got == item["payment"]
