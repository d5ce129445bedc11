"""Changes the code in small ways, one at a time, and tells which changes no test notices.

    tests/scripts/mutants [--part pipeline|worker] [--match REGEX] [--seeds N] [--json FILE]

The changes are those of `cargo mutants --list` (`.cargo/mutants.toml` says of which files, and leaves out what cannot
matter, with reasons). All of them are written into one copy of the repository, where a variable chooses which one is on, so
that it is built only once. Against each run, until one fails: the unit tests of its crate, the tests of the model, the
conformance of the local backend (of changes in `pipeline`), and lives of a fleet (`simulate`). What is in constants and
what does not compile beside the other changes is counted apart: it was not tried.

The copy is in target/mutants, or $MUTANTS_FOLDER; what is built from it is beside it, or in $CARGO_TARGET_DIR. Ends with 1
if a change was missed.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import mutants_written as written

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SWITCHES = {"pipeline": "crate::mutated::on()", "worker": "pipeline::mutated::on()"}
# Tests of these without Polars, and the simulation of the worker with it.
LIGHT = ["pipeline", "sim", "backend-local"]
WITHIN_SECONDS = 20


def listed():
    said = subprocess.run(["cargo", "mutants", "--list", "--json"], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return json.loads(said.stdout)


def copy(folder):
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    texts = {}
    for name in files:
        if (REPOSITORY / name).is_file():
            texts[name] = (REPOSITORY / name).read_bytes()
    return texts


def write(folder, texts):
    for name, content in texts.items():
        target = folder / name
        # What did not change keeps its time, so that it is not built again.
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod((REPOSITORY / name).stat().st_mode if (REPOSITORY / name).exists() else 0o644)


def planted(texts, mutants, without):
    """The files with all changes but those, and where the changes stand; what could not be written, with the reason."""
    files, not_written = {}, {}
    for number, mutant in enumerate(mutants, 1):
        if number in without:
            continue
        name = mutant["file"]
        file = files.setdefault(name, written.File(texts[name].decode(), SWITCHES[name.split("/")[0]]))
        try:
            file.add(number, mutant)
        except written.NotWritten as why:
            not_written[number] = str(why)
    changed = {name: file.written() for name, file in files.items()}
    library = texts["pipeline/src/lib.rs"].decode().replace("pub mod plan;", "#[doc(hidden)]\npub mod mutated;\npub mod plan;")
    changed |= {"pipeline/src/mutated.rs": written.SWITCH, "pipeline/src/lib.rs": library}
    return changed, {name: written.places(text) for name, text in changed.items()}, not_written


def cargo(folder, target, *arguments):
    environment = {k: v for k, v in os.environ.items() if k != "MUTANT"} | {"CARGO_TARGET_DIR": str(target), "CARGO_INCREMENTAL": "0"}
    command = ["cargo", *arguments, "--locked", "--message-format=json"]
    ran = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    return ran, [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def at_fault(messages, where):
    """The changes on whose lines there are errors."""
    found = set()
    for message in messages:
        said = message.get("message") or {}
        if message.get("reason") != "compiler-message" or said.get("level") != "error":
            continue
        spans = [*said["spans"], *(span for child in said["children"] for span in child["spans"])]
        for span in spans:
            for number, (first, last) in where.get(span["file_name"], {}).items():
                if first <= span["line_end"] and span["line_start"] <= last:
                    found.add(number)
    return found


def build(folder, texts, mutants, places, parts):
    """Builds the copy, leaving out what does not compile. What runs, and why which change was not tried."""
    # What did not compile once need not be tried again: what a change is like is its name for that.
    known = folder.parent / f"{folder.name}-does-not-compile.json"
    names = [hashlib.sha256(m["diff"].encode()).hexdigest() for m in mutants]
    before = set(json.loads(known.read_text())) if known.is_file() else set()
    without = {number: "does not compile" for number, name in enumerate(names, 1) if name in before}
    targets = []
    if "pipeline" in parts:
        targets.append((places["light"], ["test", "--no-run", *(part for name in LIGHT for part in ("-p", name))]))
    targets.append((places["whole"], ["build", "--workspace", "--bin", "simulate"]))
    while True:
        changed, where, not_written = planted(texts, mutants, without)
        write(folder, texts | {name: text.encode() for name, text in changed.items()})
        binaries = {}
        for target, command in targets:
            ran, messages = cargo(folder, target, *command)
            if ran.returncode:
                wrong = at_fault(messages, where)
                if not wrong:
                    sys.exit(f"mutants: the copy in {folder} does not build:\n{ran.stderr[-3000:]}\n" + "".join(
                        m["message"]["rendered"] for m in messages if m.get("reason") == "compiler-message" and m["message"]["level"] == "error"))
                without |= dict.fromkeys(wrong, "does not compile")
                known.write_text(json.dumps(sorted(before | {names[number - 1] for number in without})))
                print(f"  {len(wrong)} changes do not compile, {len(without)} in all", flush=True)
                break
            for message in messages:
                if message.get("reason") == "compiler-artifact" and message.get("executable"):
                    kind = message["target"]["kind"][0]
                    binaries[f"{message['target']['name']} ({kind})"] = (message["executable"], message["manifest_path"])
        else:
            return binaries, without | not_written


class Suite:
    def __init__(self, name, command, folder):
        self.name, self.command, self.folder, self.limit = name, command, folder, None

    def run(self, number):
        environment = os.environ | {"MUTANT": str(number), "RUST_BACKTRACE": "0", "PROPTEST_CASES": "32", "RUST_LOG": "off"}
        start = time.monotonic()
        try:
            code = subprocess.run(
                self.command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, timeout=self.limit,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        return code, time.monotonic() - start


def suites(binaries, folder, seeds):
    def of(name, *arguments):
        executable, manifest = binaries[name]
        return Suite(name, [executable, *arguments], pathlib.Path(manifest).parent)

    quiet = ["--quiet"]
    found = {"pipeline": [], "worker": []}
    for name in ("pipeline (lib)", "local (test)", "model (test)", "mutants (test)", "resumption (test)", "sim (lib)", "conformance (test)"):
        if name in binaries:
            found["pipeline"].append(of(name, *quiet))
    threads = str(os.cpu_count() or 1)
    lives = of("simulate (bin)", "--json", "--threads", threads, "--runs", str(seeds))
    found["pipeline"].append(lives)
    found["worker"].append(lives)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", action="append", choices=sorted(SWITCHES), help="changes of this one only")
    parser.add_argument("--match", default="", help="changes whose name has this (a regular expression) only")
    parser.add_argument("--seeds", type=int, default=400, help="how many lives are lived against each change (400)")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after that long; what is left is counted as not tried")
    parser.add_argument("--json", type=pathlib.Path, help="write the outcome of each change there")
    arguments = parser.parse_args()
    parts = arguments.part or sorted(SWITCHES)
    mutants = [m for m in listed() if m["file"].split("/")[0] in parts and re.search(arguments.match, m["name"])]
    folder = pathlib.Path(os.environ.get("MUTANTS_FOLDER", REPOSITORY / "target" / "mutants"))
    folder.mkdir(parents=True, exist_ok=True)
    whole = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", folder / "target")).resolve()
    places = {"whole": whole, "light": whole / "light"}
    print(f"{len(mutants)} changes; building them all", flush=True)
    binaries, untried = build(folder, copy(folder), mutants, places, parts)
    by_part = suites(binaries, folder, arguments.seeds)
    for suite in {id(s): s for part in parts for s in by_part[part]}.values():
        code, took = suite.run(0)
        if code != 0:
            sys.exit(f"mutants: with no change on, {suite.name} fails")
        suite.limit = took * 4 + WITHIN_SECONDS
        print(f"  {suite.name}: {took:.1f} s", flush=True)
    outcomes, end = {}, time.monotonic() + arguments.minutes * 60
    for number, mutant in enumerate(mutants, 1):
        name = mutant["name"]
        if number in untried:
            outcomes[name] = f"not tried: {untried[number]}"
            continue
        if time.monotonic() > end:
            outcomes[name] = "not tried: no time"
            continue
        outcomes[name] = "MISSED"
        for suite in by_part[mutant["file"].split("/")[0]]:
            code, _ = suite.run(number)
            if code != 0:
                outcomes[name] = f"found by {suite.name}" + (" (took too long)" if code is None else "")
                break
        if outcomes[name] == "MISSED":
            print(f"MISSED {name}", flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(outcomes, indent=1) + "\n")
    report(mutants, outcomes)
    if arguments.json:
        arguments.json.write_text(json.dumps(outcomes, indent=1) + "\n")
    sys.exit(any(outcome == "MISSED" for outcome in outcomes.values()))


def report(mutants, outcomes):
    kinds = ("found", "MISSED", "not tried: does not compile", "not tried")
    print(f"\n{'file':<36}{'changes':>8}{'found':>8}{'missed':>8}{'no code':>9}{'not tried':>10}")
    files = sorted({m["file"] for m in mutants})
    for file in [*files, "all"]:
        of = [outcomes[m["name"]] for m in mutants if file in (m["file"], "all")]
        counts = [sum(next(k for k in kinds if o.startswith(k)) == kind for o in of) for kind in kinds]
        print(f"{file:<36}{len(of):>8}{counts[0]:>8}{counts[1]:>8}{counts[2]:>9}{counts[3]:>10}")
    by = {}
    for outcome in outcomes.values():
        by[outcome] = by.get(outcome, 0) + 1
    for outcome, count in sorted(by.items(), key=lambda item: -item[1]):
        print(f"{count:>6}  {outcome}")


if __name__ == "__main__":
    main()
