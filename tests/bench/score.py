"""score.py - millrace score beside pandas or fastavro with ONNX Runtime, file to file.

    score.py [--rows N] [--turns N] [--only csv|avro]

Both score the same rows with the same model: an id, a text and 28 numbers of 64 bits, 100
trees. Each run is a process of its own, from its start to a complete output; they take
turns, and medians are shown. The outputs are compared row by row. MILLRACE names the
program.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

import fastavro
import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier

MILLRACE = os.environ.get("MILLRACE", "build/millrace")
FOLDER = "build/bench-score"
COLUMNS = [f"V{i}" for i in range(1, 29)]


def make_model(path):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4000, len(COLUMNS))).astype("float32")
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0.3).astype(int)
    model = GradientBoostingClassifier(n_estimators=100, max_depth=4, random_state=1).fit(x, y)
    with open(path, "wb") as to:
        to.write(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())


def make_rows(rows, paths):
    """Made in slices, so that this takes little memory."""
    rng = np.random.default_rng(2)
    fields = [{"name": "id", "type": "long"}, {"name": "merchant", "type": "string"},
              *({"name": c, "type": "double"} for c in COLUMNS)]
    schema = {"type": "record", "name": "Payment", "fields": fields}

    def slices():
        for first in range(0, rows, 50000):
            count = min(50000, rows - first)
            frame = pd.DataFrame(rng.standard_normal((count, len(COLUMNS))), columns=COLUMNS)
            frame.insert(0, "merchant", [f"merchant {i % 977}" for i in range(count)])
            frame.insert(0, "id", range(first, first + count))
            yield frame
    with open(paths["csv"], "w") as to:
        def records():
            for i, frame in enumerate(slices()):
                frame.to_csv(to, index=False, header=i == 0)
                yield from frame.to_dict("records")
        with open(paths["avro"], "wb") as avro:
            fastavro.writer(avro, schema, records(), codec="deflate")


def run(command):
    """Seconds, and MiB at most: of the process itself, not of what it was forked from."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    os.set_blocking(process.stderr.fileno(), False)
    errors, peak = b"", 0
    while process.poll() is None:
        errors += process.stderr.read() or b""
        with open(f"/proc/{process.pid}/status") as status:
            peak = max([peak, *(int(line.split()[1]) for line in status
                                if line.startswith("VmHWM"))])
        time.sleep(0.02)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        sys.exit(f"score.py: {' '.join(command)}: {errors.decode()[-500:]}")
    return seconds, peak / 1024


def scores_of(path):
    if path.endswith(".csv"):
        return pd.read_csv(path, usecols=["score"])["score"].to_numpy("float32")
    with open(path, "rb") as file:
        return np.array([record["score"] for record in fastavro.reader(file)], "float32")


def measure(model, source, turns):
    kind = source.rsplit(".", 1)[1]
    targets = {who: f"{FOLDER}/{who}.{kind}" for who in ["millrace", "python"]}
    commands = {
        "millrace": [MILLRACE, "score", model, source, targets["millrace"], "--restart",
                     "--predict", "score=probabilities:1", "--map", "X=" + ",".join(COLUMNS)],
        "python": [sys.executable, "tools/peer/score_file.py", model, source, targets["python"]]}
    taken = {who: [] for who in commands}
    for _ in range(turns):
        for who, command in commands.items():
            taken[who].append(run(command))
    ours, theirs = scores_of(targets["millrace"]), scores_of(targets["python"])
    if len(ours) != len(theirs) or np.abs(ours - theirs).max() > 1e-5:
        sys.exit(f"score.py: the scores differ in {kind}")
    return {who: (statistics.median(s for s, _ in runs), max(m for _, m in runs))
            for who, runs in taken.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", choices=["csv", "avro"], help="one of the formats")
    options = parser.parse_args()
    os.makedirs(FOLDER, exist_ok=True)
    paths = {kind: f"{FOLDER}/rows-{options.rows}.{kind}" for kind in ["csv", "avro"]}
    model = f"{FOLDER}/model.onnx"
    if not os.path.exists(f"{paths['csv']}.made"):
        make_model(model)
        make_rows(options.rows, paths)
        open(f"{paths['csv']}.made", "w").close()
    print(f"| {options.rows:,} rows | Millrace s | rows/s | MiB | Python s | rows/s | MiB | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind, path in paths.items():
        if options.only not in (None, kind):
            continue
        got = measure(model, path, options.turns)
        cells = [f"{s:.1f} | {options.rows / s:,.0f} | {m:.0f}" for s, m in got.values()]
        ratio = got["python"][0] / got["millrace"][0]
        size = os.path.getsize(path) / 2**20
        print(f"| {kind}, {size:.0f} MiB | {' | '.join(cells)} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
