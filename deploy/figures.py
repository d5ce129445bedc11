#!/usr/bin/env python3
"""Makes the figures and pictures of deploy/SCALING.md anew: `deploy/figures.py`, with `producer` on the path.

Everything is drawn from seed 1 and the timings beside this file, so it prints the same wherever it runs.
"""

import csv
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TIMINGS = HERE / "timings-flights.csv"
PICTURES = HERE / "pictures"

TASK = ["--component", "extract", "--durations", str(TIMINGS), "--cpu", "1", "--memory", "4GiB",
        "--architecture", "arm64", "--acceptable-latency", "60s"]
SPOT = ["--spot-share", "0.75"]
BOUNDS = ["--min", "0", "--max", "50"]
PATTERNS = {
    "steady": "poisson:1200/h",
    "daily": "daily:300/h,09:00x8,14:00x5,width=1h",
    "burst": "poisson:60/h+burst:2000@00:05,over=2m",
}
# What holds, and what is searched for; a burst that a service must first be woken for cannot be held in a minute.
LATENCY = {"steady": "60s", "daily": "60s", "burst": "10m"}
RUNS_A_DAY = 10_000_000
UTILISATION = 0.88


def simulate(*args: str) -> dict:
    command = ["producer", "simulate-scaling", *TASK, *args, "--json"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode not in (0, 4):
        sys.exit(f"{' '.join(command)}: {ran.stderr}")
    return json.loads(ran.stdout)


def table(headings: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def figures(found: dict) -> list[str]:
    of = {name: estimate["mean"] for name, estimate in found["figures"].items()}
    plus_minus = found["figures"]["wait_p95"]["plus_minus"]
    width = f" ± {plus_minus:.0f}" if plus_minus is not None else ""
    return [f"{of['wait_p50']:.1f} s", f"{of['wait_p95']:.0f}{width} s", f"{of['wait_p99']:.0f} s",
            f"{of['utilisation']:.0%}", f"{of['tasks_mean']:.2f}", f"{of['tasks_max']:.0f}",
            f"{of['task_hours']:.1f}", f"${of['dollars'] / of['hours'] * 24:.2f}"]


OF_FIGURES = ["p50", "p95", "p99", "utilisation", "tasks, mean", "most", "task-hours", "a day"]


def patterns() -> None:
    PICTURES.mkdir(exist_ok=True)
    rows = []
    for name, arrivals in PATTERNS.items():
        picture = ["--picture", str(PICTURES / f"{name}.svg")]
        found = simulate("--arrivals", arrivals, *SPOT, *BOUNDS, "--replications", "10", *picture)
        rows.append([f"{name}: `{arrivals}`", *figures(found)])
    table(["arrivals", *OF_FIGURES], rows)


def cheapest() -> None:
    rows = []
    for name, arrivals in PATTERNS.items():
        search = ["--find-cheapest", "--latency-p95", LATENCY[name]]
        found = simulate("--arrivals", arrivals, *SPOT, "--replications", "10", *search)
        policy = found["policy"]
        cooldowns = f"{policy['scale_out_cooldown_seconds']:.0f} s, {policy['scale_in_cooldown_seconds']:.0f} s"
        is_found = "" if found["search"]["found"] else " (not held)"
        rows.append([f"{name}, p95 ≤ {LATENCY[name]}{is_found}", f"{policy['target']:.2f}",
                     f"{policy['min']} to {policy['max']}", cooldowns, *figures(found)])
    table(["", "target", "tasks", "cooldowns out, in", *OF_FIGURES], rows)


def what_if() -> None:
    base = ["--arrivals", PATTERNS["steady"], *BOUNDS, "--replications", "10"]
    cases = [
        ("as above", [*SPOT]),
        ("`--surplus 3`, half of the target", [*SPOT, "--surplus", "3"]),
        ("`--surplus 0.7`", [*SPOT, "--surplus", "0.7"]),
        ("`--scale-out-cooldown 60s`", [*SPOT, "--scale-out-cooldown", "60s"]),
        ("`--metric-delay 180s`", [*SPOT, "--metric-delay", "180s"]),
        ("`--task-start const:120s`", [*SPOT, "--task-start", "const:120s"]),
        ("`--target 1`", [*SPOT, "--target", "1"]),
        ("`--scale-in tracking`", [*SPOT, "--scale-in", "tracking"]),
        ("`--scale-in tracking --wake-on running`", [*SPOT, "--scale-in", "tracking", "--wake-on", "running"]),
        ("`--spot-share 0`", ["--spot-share", "0"]),
        ("`--interruptions-per-hour 2`", [*SPOT, "--interruptions-per-hour", "2"]),
    ]
    table(["settings", *OF_FIGURES], [[name, *figures(simulate(*base, *more))] for name, more in cases])


def at_full_rate() -> None:
    base = ["--arrivals", f"poisson:{RUNS_A_DAY}/d", "--for", "2h", "--max", "2000", *SPOT]
    cases = [("from one task", ["--min", "1"]), ("never below 1,200", ["--min", "1200"])]
    table(["extract at 10,000,000 a day, two hours", *OF_FIGURES],
          [[name, *figures(simulate(*base, *more))] for name, more in cases])


def ten_millions() -> None:
    rate = RUNS_A_DAY / 86_400
    held, runs = {}, set()
    with TIMINGS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            runs.add(row["run"])
            held.setdefault(row["stage"], []).append(int(row["held_ms"]) / 1e3)
    rows, all_tasks, all_rate = [], 0, 0.0
    for stage, seconds in held.items():
        mean, of_run = sum(seconds) / len(seconds), len(seconds) / len(runs)
        busy = rate * of_run * mean
        tasks = -(-busy // UTILISATION)
        all_tasks, all_rate = all_tasks + tasks, all_rate + rate * of_run
        rows.append([stage, f"{of_run:.0f}", f"{mean:.2f}", f"{rate * of_run:.0f}", f"{busy:.0f}", f"{tasks:.0f}"])
    rows.append(["all", "", "", f"{all_rate:.0f}", "", f"{all_tasks:.0f}"])
    table(["component", "a run", "held, mean s", "messages a second", "busy permits", "tasks"], rows)


if __name__ == "__main__":
    for part in (patterns, cheapest, what_if, at_full_rate, ten_millions):
        part()
