#!/usr/bin/env python3
"""Makes one report of the runs of bench.sh: a JSON file and a table in Markdown.

Every figure is the median over the repetitions, with the least and the greatest beside it
in the JSON file.
"""
import argparse
import itertools
import json
import os
import pathlib
import platform
import statistics

TITLES = {
    "millrace": "Millrace",
    "python": "Python worker",
    "transport": "transport alone",
}

# Key, heading, format. The order is the table's.
COLUMNS = [
    ("jobs_per_s", "jobs/s", "{:,.0f}"),
    ("latency_rate", "at jobs/s", "{:,.0f}"),
    ("latency_p50_ms", "p50 ms", "{:,.1f}"),
    ("latency_p99_ms", "p99 ms", "{:,.1f}"),
    ("assigned_s", "assigned after s", "{:.2f}"),
    ("first_result_s", "first result after s", "{:.2f}"),
    ("memory_mib", "peak MiB", "{:,.0f}"),
    ("cpu_s_per_million", "CPU s per million jobs", "{:,.1f}"),
]
OPTIONS = {"at-least-once": "at least once", "workers": "{} workers",
           "no-headers": "without headers"}


def title(contender):
    """millrace:workers=2 -> Millrace, 2 workers"""
    name, *options = contender.split(":")
    texts = [TITLES.get(name, name)]
    for option in options:
        key, _, value = option.partition("=")
        texts.append(OPTIONS[key].format(value))
    return ", ".join(texts)


def throughput_figures(run):
    measured, first = run["measured"], run["first"]
    # CPU time is counted from the first results on, and so are the jobs.
    jobs = measured["results"] - first["results"]
    figures = {
        "jobs_per_s": measured["jobs_per_s"],
        "first_result_s": (first["first_wall_us"] - run["start_us"]) / 1e6,
        "memory_mib": run["memory_kib"] / 1024,
        "duplicates": measured["duplicates"],
    }
    if jobs > 0:
        cpu_s = run["cpu_end_s"] - run["cpu_first_s"]
        figures["cpu_s_per_million"] = cpu_s * 1e6 / jobs
    if run["assigned"]["assigned"]:
        figures["assigned_s"] = (run["assigned"]["wall_us"] - run["start_us"]) / 1e6
    return figures


def latency_figures(run):
    measured = run["measured"]
    sent = run["sent"]
    figures = {
        "latency_rate": run["rate"],
        "sender_late_max_ms": sent["late_max_ms"],
        "unanswered": sent["sent"] - measured["distinct"],
    }
    for key in ("latency_p50_ms", "latency_p99_ms", "latency_max_ms"):
        if key in measured:
            figures[key] = measured[key]
    return figures


FIGURES = {"throughput": throughput_figures, "latency": latency_figures}


def summarise(runs):
    """Contender -> figure -> median, min, max over the repetitions."""
    samples = {}
    for run in runs:
        contender = samples.setdefault(run["contender"], {})
        for key, value in FIGURES[run["kind"]](run).items():
            contender.setdefault(key, []).append(value)
    return {
        contender: {
            key: {"median": statistics.median(v), "min": min(v), "max": max(v)}
            for key, v in figures.items()
        }
        for contender, figures in samples.items()
    }


def ratios(summary):
    """Jobs/s of each contender over those of each that comes after it."""
    rates = {name: figures["jobs_per_s"]["median"] for name, figures in summary.items()}
    return [
        {"above": above, "below": below, "ratio": rates[above] / rates[below]}
        for above, below in itertools.combinations(rates, 2)
        if rates[below] > 0
    ]


def machine():
    info = {"cores": len(os.sched_getaffinity(0)), "system": platform.platform()}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            info["cpu"] = line.split(":", 1)[1].strip()
            break
    return info


def table(summary):
    lines = [
        "| | " + " | ".join(heading for _, heading, _ in COLUMNS) + " |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    for contender, figures in summary.items():
        cells = [
            pattern.format(figures[key]["median"]) if key in figures else "-"
            for key, _, pattern in COLUMNS
        ]
        lines.append("| " + " | ".join([title(contender), *cells]) + " |")
    return "\n".join(lines)


def complaints(summary):
    """What makes a reader doubt the figures."""
    for contender, figures in summary.items():
        for key in ("duplicates", "unanswered"):
            worst = figures.get(key, {"max": 0})["max"]
            if worst > 0:
                yield f"{title(contender)}: {worst} jobs {key}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=pathlib.Path, help="bench.sh's runs.jsonl")
    parser.add_argument("--json", type=pathlib.Path, required=True, help="file to write")
    parser.add_argument("--model")
    for name in ("jobs", "skip-seconds", "commit-interval-ms", "threads"):
        parser.add_argument(f"--{name}", type=int)
    args = parser.parse_args()
    runs = [json.loads(line) for line in args.runs.read_text().splitlines()]
    summary = summarise(runs)
    report = {
        "machine": machine(),
        "settings": {k: v for k, v in vars(args).items() if isinstance(v, (int, str))},
        "summary": summary,
        "ratios": ratios(summary),
        "runs": runs,
    }
    args.json.write_text(json.dumps(report, indent=1) + "\n")
    print(table(summary))
    print()
    for pair in report["ratios"]:
        above, below = title(pair["above"]), title(pair["below"])
        print(f"- {above} / {below}: {pair['ratio']:.3g} times the jobs/s")
    for complaint in complaints(summary):
        print(f"- **{complaint}**")


if __name__ == "__main__":
    main()
