"""Standard input and output instead of files; CSV without names of columns."""
import json
import os
import signal
import subprocess

from rows import MILLRACE, Folder, double_model, read_avro, read_jsonl, score, write_avro


def pipe(data, *arguments, code=0, **more):
    """What goes in through a pipe; what comes out and what is said."""
    done = subprocess.run([MILLRACE, "score", *map(str, arguments)], input=data,
                          capture_output=True, timeout=120, **more)
    assert done.returncode == code, (done.returncode, arguments, done.stderr[-600:])
    return done.stdout, done.stderr.decode()


def test_a_pipe_gives_what_files_give_whatever_the_formats():
    folder = Folder()
    model, source = folder.path("m.onnx"), folder.path("in.csv")
    double_model(model)
    with open(source, "w") as to:  # several chunks
        to.write("x,t\n" + "".join(f'{i},"{i} {"words " * 20}"\n' for i in range(30000)))
    data = open(source, "rb").read()
    schema = {"type": "record", "name": "r", "fields": [{"name": "x", "type": "float"}]}
    write_avro(folder.path("in.avro"), schema, ({"x": i} for i in range(1000)))
    score(model, source, folder.path("csv.csv"))
    out, said = pipe(data, model, "-", "-")
    assert out == open(folder.path("csv.csv"), "rb").read()
    assert "30000 rows scored" in said
    out, _ = pipe(data, model, "-", "-", "--to", "jsonl")
    assert [json.loads(line)["y"] for line in out.splitlines()] == [2.0 * i for i in range(30000)]
    out, _ = pipe(open(folder.path("in.avro"), "rb").read(), model, "-", "-", "--from", "avro",
                  "--to", "avro")
    with open(folder.path("out.avro"), "wb") as to:
        to.write(out)
    assert [row["y"] for row in read_avro(folder.path("out.avro"))] == [
        2.0 * i for i in range(1000)]
    with open(source, "rb") as redirected:
        done = subprocess.run([MILLRACE, "score", model, "-", "-"], stdin=redirected,
                              capture_output=True, timeout=120)
    assert done.stdout == open(folder.path("csv.csv"), "rb").read()


def test_a_run_with_a_pipe_leaves_nothing_behind_and_never_goes_on():
    folder, kept = Folder(), Folder()
    model, out = folder.path("m.onnx"), folder.path("out.csv")
    double_model(model)
    bad = b"x\n1\n2\nno number\n" * 3
    where = dict(os.environ, TMPDIR=kept.name)
    _, said = pipe(bad, model, "-", out, "--save", "0", "--type", "x=double", code=1, env=where)
    assert "row 3" in said and "kept" not in said
    assert sorted(os.listdir(folder.name)) == ["m.onnx"] and os.listdir(kept.name) == []
    pipe(bad, model, "-", out, "--on-error", "skip", "--type", "x=double", env=where)
    first = open(out, "rb").read()
    assert first.startswith(b"x,y\n1,2\n2,4\n")
    pipe(b"x\n5\n", model, "-", out, env=where)
    assert open(out, "rb").read() == b"x,y\n5,10\n"
    _, said = pipe(b"x\n5\n", model, "-", out, code=2, env=dict(os.environ, TMPDIR="/nowhere"))
    assert "TMPDIR" in said and "/nowhere" in said


def test_a_reader_that_has_seen_enough_ends_the_run():
    folder = Folder()
    double_model(folder.path("m.onnx"))
    with open(folder.path("in.csv"), "w") as to:
        to.write("x\n" + "1\n" * 2000000)
    run = subprocess.Popen([MILLRACE, "score", folder.path("m.onnx"), folder.path("in.csv"), "-"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline() == b"x,y\n"
    run.stdout.close()
    said = run.stderr.read().decode()
    assert run.wait(timeout=60) in (1, -signal.SIGPIPE), said


def test_what_a_pipe_cannot_do_is_told():
    folder = Folder()
    double_model(folder.path("m.onnx"))
    _, said = pipe(b"x\n1\n", folder.path("m.onnx"), "-", "-", "--to", "npy", code=2)
    assert "name a file" in said
    _, said = pipe(b"", folder.path("m.onnx"), "-", "-", code=2)
    assert "standard input: it is empty" in said


def test_csv_without_names_has_its_columns_counted():
    folder = Folder()
    model, source = folder.path("m.onnx"), folder.path("in.csv")
    double_model(model, elements=2)
    for mark in (b"", b"\xef\xbb\xbf"):
        with open(source, "wb") as to:
            to.write(mark + b'1,2,"a,b"\r\n3,4.5,c\r\n')
        score(model, source, folder.path("out.csv"), "--no-header")
        assert open(folder.path("out.csv"), "rb").read() == b'1,2,"a,b",2,4\n3,4.5,c,6,9\n'
    score(model, source, folder.path("out.jsonl"), "--no-header", "--map", "x=2,1")
    assert read_jsonl(folder.path("out.jsonl")) == [
        {"1": 1, "2": 2.0, "3": "a,b", "y": [4.0, 2.0]},
        {"1": 3, "2": 4.5, "3": "c", "y": [9.0, 6.0]}]
    score(model, source, folder.path("only.csv"), "--no-header", "--only-predictions")
    assert open(folder.path("only.csv"), "rb").read() == b"2,4\n6,9\n"
    said = score(model, source, folder.path("out.csv"), "--no-header", "--from", "jsonl",
                 code=2).stderr
    assert "--no-header" in said
    with open(source, "w") as to:  # a row that is not as long as the first
        to.write("1,2\n3\n")
    said = score(model, source, folder.path("bad.csv"), "--no-header", code=1).stderr
    assert "row 2: it has 1 columns, the first line 2" in said


def test_a_full_disk_is_a_failure_and_not_wrong_use():
    folder = Folder()
    model, source = folder.path("m.onnx"), folder.path("in.csv")
    double_model(model)
    with open(source, "w") as to:
        to.write("x\n1\n")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([MILLRACE, "score", model, source, "-"], stdout=full,
                              stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 1 and b"No space left" in done.stderr, done
    score(model, source, folder.path("none/out.csv"), code=2)
