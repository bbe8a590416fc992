"""Lays the figures of models.py out as tables in Markdown."""

import math

US, PEER = "millrace", "onnxruntime"
BEHIND = 0.9  # a ratio below it is told by name


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def ratio(cell):
    return cell[f"{US}_rows_per_s"] / cell[f"{PEER}_rows_per_s"]


def rate(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def speed_table(models, columns):
    """Rows/s of both and their ratio; a line a model, a column for each batch and threads."""
    heads = [f"batch {batch}" + (f", {threads} threads" if threads > 1 else "")
             for threads, batch in columns]
    lines = ["| rows/s, Millrace / ONNX Runtime | " + " | ".join(heads) + " |",
             "|---|" + "---:|" * len(columns)]
    for model in models:
        cells = {(c["threads"], c["batch"]): c for c in model["cells"]}
        words = []
        for key in columns:
            cell = cells.get(key)
            words.append("" if cell is None else
                         f"{rate(cell[f'{US}_rows_per_s'])} / {rate(cell[f'{PEER}_rows_per_s'])}"
                         f" = {'**' * (ratio(cell) < BEHIND)}{ratio(cell):.2f}"
                         f"{'**' * (ratio(cell) < BEHIND)}")
        lines.append(f"| {model['name']} | " + " | ".join(words) + " |")
    means = []
    for key in columns:
        ratios = [ratio(c) for m in models for c in m["cells"]
                  if (c["threads"], c["batch"]) == key]
        means.append(f"{geometric_mean(ratios):.2f}")
    lines.append("| geometric mean of the ratios | " + " | ".join(means) + " |")
    return lines


def load_table(models):
    """Milliseconds until ready, and MiB that the model added to a process."""
    models = [model for model in models if "load" in model]
    if not models:
        return []
    lines = ["", "| Millrace / ONNX Runtime | load ms | MiB that the model adds | MiB in all |",
             "|---|---:|---:|---:|"]
    for model in models:
        load = model["load"]
        words = []
        for key, scale in (("load_ms", 1), ("grown_kib", 1024), ("peak_kib", 1024)):
            ours, peer = load[f"{US}_{key}"] / scale, load[f"{PEER}_{key}"] / scale
            mark = "**" if ours > peer else ""
            words.append(f"{mark}{ours:.1f}{mark} / {peer:.1f}")
        lines.append(f"| {model['name']} | " + " | ".join(words) + " |")
    return lines


def model_ratio(model):
    return geometric_mean([ratio(cell) for cell in model["cells"]])


def summary(models):
    cells = [ratio(cell) for model in models for cell in model["cells"]]
    lines = ["", f"Geometric mean of the ratio over {len(models)} models: "
                 f"{geometric_mean([model_ratio(m) for m in models]):.2f}; over all "
                 f"{len(cells)} cells: {geometric_mean(cells):.2f}."]
    behind = sorted((model_ratio(m), m["name"]) for m in models if model_ratio(m) < BEHIND)
    if behind:
        lines.append(f"Models under {BEHIND}: "
                     + ", ".join(f"{name} {value:.2f}" for value, name in behind) + ".")
    else:
        lines.append(f"No model is under {BEHIND}.")
    low = sum(value < BEHIND for value in cells)
    lines.append(f"Single cells under {BEHIND} (bold above): {low}.")
    return lines


def tables(models):
    measured = [model for model in models if model["cells"]]
    if not measured:
        return "\n".join(load_table(models)[1:]) or "nothing was measured"
    models = measured
    columns = sorted({(c["threads"], c["batch"]) for m in models for c in m["cells"]})
    lines = []
    for threads in sorted({threads for threads, _ in columns}):
        lines += speed_table(models, [key for key in columns if key[0] == threads]) + [""]
    return "\n".join(lines[:-1] + load_table(models) + summary(models))
