"""Measures a whole pipeline of fleetline beside a monolith in Python that does the same work, in turns.

usage: monolith_bench.py MONOLITH.py --worker BINARY [--rounds N] [--json] [--data FILE.parquet --label COLUMN]

The data are the flights of examples/flights, joined, unless others are named. The monolith is called as `MONOLITH.py DATA LABEL --out FOLDER` and prints one JSON object with `stages_s` (seconds by
stage) and `scores` (metrics by model). fleetline runs a pipeline over the same file with the same models: a linear one
and 100 rounds of boosting with 31 leaves, metrics of both, SHAP on 2,000 rows, permutation 3 times on 10,000 rows.
Both get the same cores; each round runs one after the other. Medians are printed.

What differs: fleetline also checks a validation set of 2 % (so it trains on 78 % and not on 80 % of the rows), writes every
artifact durably, proves the package in a fresh process and registers it; each of its stages is a process of its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """
pipeline = "monolith"
seed = 42

[data]
source = "{data}"
label = "{label}"

[split]
by = "random"
validation = 0.02
test = 0.2

[[candidates]]
model = "linear"

[[candidates]]
model = "boosting"
rounds = 100
max_leaves = 31
learning_rate = 0.1
early_stopping = 0

[explain]
rows = 2000
permutation_rows = 10000
permutation_repeats = 3
partial_dependence = 0
"""

# Which stages of the one do what the stages of the other do.
ROWS = [
    ("extract", ["extract"], ["extract"]),
    ("validate", ["validate"], ["validate"]),
    ("transform", ["transform"], ["transform"]),
    ("train, both models", ["train"], ["train_linear", "train_gbm"]),
    ("evaluate", ["evaluate"], ["evaluate"]),
    ("explain", ["explain"], ["explain_shap", "explain_permutation"]),
    ("deploy", ["deploy"], ["deploy"]),
]


def run(command, cwd):
    """Runs a command to its end: its output, wall and CPU seconds of all its processes, peak of the largest one."""
    # In a process of its own, whose children are then this command's only.
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        started = time.monotonic()
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        wall = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = {
            "code": done.returncode,
            "out": done.stdout,
            "err": done.stderr[-4000:],
            "wall": wall,
            "cpu": used.ru_utime + used.ru_stime,
            "peak_bytes": used.ru_maxrss * 1024,
        }
        with os.fdopen(write, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        result = json.load(pipe)
    os.waitpid(child, 0)
    if result["code"] != 0:
        sys.exit(f"{command[0]} ended with code {result['code']}:\n{result['err']}\n{result['out'][-2000:]}")
    result["report"] = json.loads(result["out"].strip().splitlines()[-1])
    return result


def ours(worker, data, label, folder):
    spec = folder / "pipeline.toml"
    spec.write_text(SPEC.format(data=data, label=label), encoding="utf-8")
    command = [worker, "run", str(spec), "--json", "--backend", f"local:{folder / 'state'}"]
    command += ["--source-folders", str(Path(data).parent)]
    result = run(command, folder)
    result["stages"] = {s["step"]: s.get("seconds") or 0.0 for s in result["report"]["steps"]}
    return result


def theirs(monolith, data, label, folder):
    result = run([sys.executable, monolith, str(data), label, "--out", str(folder / "model")], folder)
    result["stages"] = result["report"]["stages_s"]
    return result


def flights(folder):
    """The joined table of examples/flights as one Parquet file: what a notebook has after its first cells."""
    # Imported here, where the other process' memory does not matter: nothing of it is in ours while we measure.
    code = """
import sys
import pandas as pd
data, out = sys.argv[1:]
read = lambda name: pd.read_csv(f"{data}/{name}.csv.zst")
minutes = lambda hhmm: hhmm // 100 * 60 + hhmm % 100
flights, weather, planes = read("flights"), read("weather"), read("planes")
flights = flights[flights.arr_delay.notna()]
flights["weekday"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week
flights["sched_dep_minute"] = minutes(flights.sched_dep_time)
flights["sched_arr_minute"] = minutes(flights.sched_arr_time)
weather = weather.drop(columns=["year", "month", "day", "hour"]).drop_duplicates(["origin", "time_hour"])
planes = planes.rename(columns={"year": "plane_year"}).drop(columns=["model", "speed"])
table = flights.merge(weather, on=["origin", "time_hour"], how="left").merge(planes, on="tailnum", how="left")
table["late"] = (table.arr_delay > 15).astype(int)
known_too_late = ["year", "sched_dep_time", "sched_arr_time", "arr_delay", "flight", "tailnum", "time_hour"]
table.drop(columns=known_too_late).to_parquet(out, index=False)
"""
    data = Path(__file__).resolve().parents[2] / "examples" / "flights" / "data"
    out = folder / "flights.parquet"
    subprocess.run([sys.executable, "-c", code, str(data), str(out)], check=True)
    return out


def median(results, of):
    return statistics.median(of(r) for r in results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("monolith", type=Path)
    parser.add_argument("--data", type=Path, help="a Parquet file [default: the joined flights]")
    parser.add_argument("--label", default="late", help="the column to predict [default: late]")
    parser.add_argument("--worker", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 21))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        given.data = given.data or flights(Path(folder))
        compare(given)


def compare(given):
    paths = {name: path.resolve() for name, path in vars(given).items() if isinstance(path, Path)}
    for name, path in paths.items():
        if not path.is_file():
            sys.exit(f"{name}: there is no file {path}")
    fleet, mono = [], []
    for number in range(1, given.rounds + 1):
        print(f"round {number} of {given.rounds}", file=sys.stderr)
        for kind, results in [(ours, fleet), (theirs, mono)]:
            with tempfile.TemporaryDirectory() as folder:
                what = paths["worker"] if kind is ours else paths["monolith"]
                results.append(kind(what, paths["data"], given.label, Path(folder)))
    table = []
    for name, our_stages, their_stages in ROWS:
        us = median(fleet, lambda r, s=our_stages: sum(r["stages"].get(k, 0.0) for k in s))
        them = median(mono, lambda r, s=their_stages: sum(r["stages"].get(k, 0.0) for k in s))
        table.append((f"{name}, s of work", us, them))
    table.append(("wall, s", median(fleet, lambda r: r["wall"]), median(mono, lambda r: r["wall"])))
    table.append(("CPU, s", median(fleet, lambda r: r["cpu"]), median(mono, lambda r: r["cpu"])))
    mib = 1024 * 1024
    peaks = [median(rs, lambda r: r["peak_bytes"] / mib) for rs in (fleet, mono)]
    table.append(("largest process, MiB", *peaks))
    scores = {c["name"]: c["test"] for c in fleet[-1]["report"]["candidates"]}
    their_scores = mono[-1]["report"]["scores"]
    if given.json:
        rows = [{"what": what, "fleetline": us, "monolith": them} for what, us, them in table]
        print(json.dumps({"rows": rows, "fleetline": scores, "monolith": their_scores}))
        return
    print(f"{'':32} {'fleetline':>10} {'monolith':>10} {'ratio':>7}")
    for what, us, them in table:
        ratio = f"{us / them:7.2f}" if them else "      -"
        print(f"{what:32} {us:10.2f} {them:10.2f} {ratio}")
    for ours_name, theirs_name in [("linear", "linear"), ("boosting", "gbm")]:
        metric = next((m for m in ("auc", "accuracy", "rmse") if m in scores.get(ours_name, {})), None)
        if metric:
            us, them = scores[ours_name][metric], their_scores[theirs_name].get(metric, float("nan"))
            print(f"{ours_name + ', test ' + metric:32} {us:10.4f} {them:10.4f}")
    print(f"medians of {given.rounds}; seconds of work are within the stages, wall and CPU over everything")


if __name__ == "__main__":
    main()
