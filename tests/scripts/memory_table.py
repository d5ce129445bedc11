"""Measures what stages take beside what they were estimated to take.

usage: memory_table.py --worker BINARY --producer BINARY [--only NAME,...] [--csv]

Runs pipelines over tables of several shapes (the flights, once and several times over; many rows, many columns, many
texts) with the whole fleet in one process, and prints for every step what its inputs are as tables, its largest
resident memory, and the estimate that decided its memory class. The estimate is to lie above what was taken, and not
far above: the last lines say for each stage how often it lay below, and by how much it lies above at most.

With --csv, prints what worker/stages/src/demand.csv holds, on which the estimates were fitted.
"""

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "examples"
MIB = 1 << 20
COLUMNS = ["table", "stage", "kind", "columns", "decoded_bytes", "peak_bytes"]
SPLITS = ["train", "validation", "test"]

CANDIDATES = """
[[candidates]]
model = "linear"
max_iterations = 20

[[candidates]]
model = "boosting"
rounds = 30

[[candidates]]
model = "forest"
trees = 10
"""

SYNTHETIC = """pipeline = "memory-{name}"
seed = 1

[data]
source = {{ path = "{path}" }}
label = "label"

[split]
by = "random"
validation = 0.2
test = 0.2
"""


def numbers(path, rows, columns):
    """Random numbers, and a label that follows from the first two."""
    draw = random.Random(1)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow([f"n{i}" for i in range(columns)] + ["label"])
        pool = [f"{draw.gauss(0, 1):.4f}" for _ in range(50_000)]
        for _ in range(rows):
            row = draw.choices(pool, k=columns)
            out.writerow(row + [int(float(row[0]) + float(row[1]) > 0)])


def texts(path, rows, columns, levels):
    """Texts of so many levels in each column, and a few numbers."""
    draw = random.Random(2)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow([f"t{i}" for i in range(columns)] + ["n0", "n1", "label"])
        names = [f"level-{i:07}-of-some-length" for i in range(levels)]
        for _ in range(rows):
            row = draw.choices(names, k=columns)
            a, b = draw.random(), draw.random()
            out.writerow(row + [f"{a:.5f}", f"{b:.5f}", int(a > b)])


def flights(folder, times):
    """The flights, so many times over."""
    text = (EXAMPLES / "flights/pipeline.toml").read_text()
    shutil.copytree(EXAMPLES / "flights/data", folder / "data")
    text = text[: text.index("[[candidates]]")]
    if times > 1:
        for i in range(times):
            shutil.copy(folder / "data/flights.csv.zst", folder / f"data/again-{i}.csv.zst")
        text = text.replace("data/flights.csv.zst", "data/again-*.csv.zst")
    return text


def synthetic(make, *args):
    def spec(folder):
        make(folder / "table.csv", *args)
        return SYNTHETIC.format(name=make.__name__, path="table.csv")

    return spec


def penguins(folder):
    shutil.copytree(EXAMPLES / "penguins/data", folder / "data")
    return (EXAMPLES / "penguins/pipeline.toml").read_text()


TABLES = {
    "penguins": penguins,
    "flights": lambda folder: flights(folder, 1),
    "flights-x4": lambda folder: flights(folder, 4),
    "long": synthetic(numbers, 1_000_000, 10),
    "wide": synthetic(numbers, 60_000, 200),
    "square": synthetic(numbers, 250_000, 50),
    "texts-50": synthetic(texts, 400_000, 8, 50),
    "texts-5000": synthetic(texts, 400_000, 8, 5_000),
    "texts-unique": synthetic(texts, 200_000, 6, 10_000_000 // 10),
}


def tables_of(step, names):
    found = [a["table"] for a in step["artifacts"] if a["name"] in names and a["table"]]
    return found


def inputs_of(stage, by_stage):
    """The tables that a stage reads, as its function `reads` chooses them."""
    rows = by_stage["validate"] if any(a["name"] == "train.parquet" for a in by_stage["validate"]["artifacts"]) else by_stage["extract"]
    splits = [f"{s}.parquet" for s in SPLITS]
    features = [f"{s}.features.parquet" for s in SPLITS]
    transform = by_stage["transform"]
    return {
        "extract": [],
        "validate": tables_of(by_stage["extract"], splits),
        "transform": tables_of(rows, splits),
        "train": tables_of(transform, features[:2]),
        "evaluate": tables_of(transform, features[1:]) + tables_of(rows, splits[2:]),
        "explain": tables_of(rows, splits[2:]),
        "deploy": tables_of(rows, splits[2:]),
    }[stage]


def measure(name, make, arguments, folder):
    spec = folder / "pipeline.toml"
    spec.write_text(make(folder) + CANDIDATES)
    backend = f"local:{folder / 'state'}"
    run = [arguments.worker, "run", "--backend", backend, "--heavy-permits", "1", "--key", name, str(spec)]
    ran = subprocess.run(run, capture_output=True, text=True)
    show = [arguments.producer, "--backend", backend, "show", name, "--json"]
    shown = json.loads(subprocess.run(show, capture_output=True, text=True, check=True).stdout)
    if shown["run"]["status"] not in ("SUCCEEDED", "HALTED"):
        sys.exit(f"{name}: {shown['run']['status']}\n{ran.stderr[-2000:]}")
    steps = shown["steps"]
    by_stage = {s["stage"]: s for s in steps if s["ordinal"] is None}
    sources = sum(p.stat().st_size for p in folder.rglob("*.csv*") if "state" not in p.parts)
    kinds = ["linear", "boosting", "forest"]
    demands = {s["step"]: s["demand"] for s in steps if s["demand"]}
    rows = []
    for step in steps:
        if step["peak_memory_bytes"] is None:
            continue
        tables = inputs_of(step["stage"], by_stage)
        kind = "" if step["ordinal"] is None else kinds[step["ordinal"]]
        demand = demands.get(step["step"])
        rows.append({
            "table": name,
            "stage": step["stage"],
            "kind": kind,
            "rows": sum(t["rows"] for t in tables),
            "columns": max((t["columns"] for t in tables), default=0),
            "decoded_bytes": sum(t["decoded_bytes"] for t in tables),
            "source_bytes": sources if step["stage"] == "extract" else 0,
            "written_bytes": sum(a["size_bytes"] for a in step["artifacts"]),
            "peak_bytes": step["peak_memory_bytes"],
            "estimate_bytes": demand and demand["memory_bytes"],
        })
    return rows


def show(rows):
    print(f"{'table':14}{'stage':20}{'rows':>10}{'columns':>9}{'tables':>10}{'took':>10}{'estimate':>10}{'':>7}")
    for row in rows:
        stage = f"{row['stage']} {row['kind']}"
        estimate = row["estimate_bytes"]
        told = f"{estimate / MIB:7.0f} MiB{estimate / row['peak_bytes']:6.2f}x" if estimate else ""
        print(f"{row['table']:14}{stage:20}{row['rows']:>10,}{row['columns']:>9}{row['decoded_bytes'] / MIB:>6.0f} MiB"
              f"{row['peak_bytes'] / MIB:>6.0f} MiB{told}")
    print()
    for stage in dict.fromkeys(row["stage"] for row in rows):
        # A fanned-out step is estimated as its largest branch.
        largest = {}
        for row in rows:
            if row["stage"] == stage and row["estimate_bytes"]:
                key = row["table"]
                if key not in largest or row["peak_bytes"] > largest[key]["peak_bytes"]:
                    largest[key] = row
        ratios = [row["estimate_bytes"] / row["peak_bytes"] for row in largest.values()]
        if ratios:
            print(f"{stage:12} estimate / took: {min(ratios):.2f} to {max(ratios):.2f}, below in {sum(r < 1 for r in ratios)} of {len(ratios)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--only", help="tables, with commas between")
    parser.add_argument("--csv", action="store_true")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(TABLES)
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += measure(name, TABLES[name], arguments, Path(folder))
    if arguments.csv:
        out = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        out.writerows(row for row in rows if row["stage"] != "extract")
    else:
        show(rows)


main()
