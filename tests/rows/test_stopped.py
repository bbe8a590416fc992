"""A run that is killed or stopped: nothing half appears, and the next one goes on."""
import json
import os
import signal
import subprocess
import time

from rows import MILLRACE, Folder, double_model, score, write_avro

ROWS = 150000
LONG = "and so on and so forth, for a while, " * 5  # many chunks, so there is time to stop


def rows_of(progress):
    return json.load(open(progress))["rows"] if os.path.exists(progress) else 0


def start_and_stop(arguments, progress, how):
    before = rows_of(progress)
    run = subprocess.Popen([MILLRACE, "score", *arguments, "--save", "0", "--threads", "1"],
                           stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while rows_of(progress) <= before:
        assert run.poll() is None and time.monotonic() < deadline, run.stderr.read()
    os.kill(run.pid, how)
    out, err = run.communicate(timeout=60)
    return run.returncode, out + err


def make(folder, name):
    double_model(folder.path("m.onnx"))
    if name.endswith(".csv"):
        with open(folder.path(name), "w") as to:
            to.write("x,t\n")
            for i in range(ROWS):
                to.write(f'{i % 1000},"row {i}, {LONG}"\n')
                if i % 50000 == 49999:
                    to.write("no number,here\n")
    else:
        schema = {"type": "record", "name": "r", "fields": [{"name": "x", "type": "float"},
                                                            {"name": "t", "type": "string"}]}
        write_avro(folder.path(name), schema,
                   ({"x": i % 1000, "t": f"row {i} {LONG}"} for i in range(ROWS)))
    return [folder.path("m.onnx"), folder.path(name)]


def check(name, how, times):
    folder = Folder()
    arguments = make(folder, name)
    out, whole = folder.path("out" + name[2:]), folder.path("whole" + name[2:])
    bad = ["--on-error", folder.path("bad.jsonl")]
    score(*arguments, whole, *bad, "--batch", "64")
    whole_bad = open(folder.path("bad.jsonl"), "rb").read()
    os.unlink(folder.path("bad.jsonl"))
    for _ in range(times):
        code, text = start_and_stop([*arguments, out, *bad], out + ".millrace-progress", how)
        assert code == (-how if how == signal.SIGKILL else 1), (code, text)
        assert not os.path.exists(out) and not os.path.exists(folder.path("bad.jsonl"))
    done = score(*arguments, out, *bad, "--json")
    assert "goes on behind row" in done.stderr
    result = json.loads(done.stdout)
    assert result["complete"] and result["resumed"] > 0
    assert result["scored"] == ROWS and result["bad"] == (3 if name == "in.csv" else 0)
    assert open(folder.path("bad.jsonl"), "rb").read() == whole_bad
    if name.endswith(".csv"):
        assert open(out, "rb").read() == open(whole, "rb").read()
    else:
        import fastavro
        with open(out, "rb") as a, open(whole, "rb") as b:
            assert all(x == y for x, y in zip(fastavro.reader(a), fastavro.reader(b), strict=True))
    assert not [f for f in os.listdir(folder.name) if "millrace" in f]
    return folder, arguments, out


def test_kill_9_twice_and_the_output_is_as_if_nothing_had_been():
    check("in.csv", signal.SIGKILL, 2)
    check("in.avro", signal.SIGKILL, 2)


def test_sigterm_keeps_what_is_done():
    check("in.csv", signal.SIGTERM, 1)


def test_another_input_or_model_begins_anew():
    folder = Folder()
    arguments = make(folder, "in.csv")
    out = folder.path("out.csv")
    more = ["--on-error", "skip"]
    start_and_stop([*arguments, out, *more], out + ".millrace-progress", signal.SIGKILL)
    with open(folder.path("in.csv"), "r+") as file:
        file.write("x,u\n")
    done = score(*arguments, out, *more, "--json")
    assert "begun anew" in done.stderr and json.loads(done.stdout)["resumed"] == 0
    start_and_stop([*arguments, out, *more], out + ".millrace-progress", signal.SIGKILL)
    done = score(*arguments, out, *more, "--json", "--restart")
    assert json.loads(done.stdout)["resumed"] == 0


def test_after_a_bad_row_the_same_command_goes_on_once_bad_rows_are_allowed():
    folder = Folder()
    arguments = make(folder, "in.csv")
    out = folder.path("out.csv")
    done = score(*arguments, out, code=1)
    assert "row 50001" in done.stderr and not os.path.exists(out)
    done = score(*arguments, out, "--on-error", "skip", "--json")
    result = json.loads(done.stdout)
    assert result["scored"] == ROWS and result["bad"] == 3 and result["resumed"] > 0


def test_an_output_that_is_the_input_or_that_another_writes_is_refused():
    folder = Folder()
    arguments = make(folder, "in.csv")
    assert "over itself" in score(*arguments, folder.path("in.csv"), code=2).stderr
    out = folder.path("out.csv")
    run = subprocess.Popen([MILLRACE, "score", *arguments, out, "--save", "0", "--on-error", "skip"],
                           stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not os.path.exists(out + ".millrace-progress"):
        assert run.poll() is None
    os.kill(run.pid, signal.SIGSTOP)
    try:
        assert "another process" in score(*arguments, out, "--on-error", "skip", code=1).stderr
    finally:
        os.kill(run.pid, signal.SIGCONT)
    assert run.wait(timeout=60) == 0
