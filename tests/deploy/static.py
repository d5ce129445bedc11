"""Checks the files in deploy/ without running anything of them, and that each check finds what is planted for it.

    static.py [CHECK ...]
"""

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from checks import CHECKS  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
PARTS = ["deploy", ".github", "docker-compose.yml", "Cargo.toml", "Cargo.lock"]
"""Of a checkout, what the checks look at."""


def planted(patch: Path) -> str | None:
    """Plants the fault in a copy. None if it is found under its name; otherwise what is wrong."""
    check, _, rule = patch.stem.partition("-")
    with tempfile.TemporaryDirectory(prefix="fleetline-fault-") as folder:
        copy = Path(folder)
        for part in PARTS:
            if (TOP / part).is_dir():
                shutil.copytree(TOP / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            elif (TOP / part).exists():
                shutil.copy(TOP / part, copy / part)
        done = subprocess.run(
            ["patch", "-p1", "--silent", "--no-backup-if-mismatch", "-i", str(patch)],
            cwd=copy, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            return f"{patch.name} does not apply any more; plant it anew: {done.stdout}{done.stderr}"
        found = {name for name, _ in CHECKS[check](copy)}
    return None if rule in found else f"{patch.name} was not found by {check} under its name; found: {sorted(found) or 'nothing'}"


def main(names: list[str]) -> int:
    wrong = 0
    for name in names:
        found = CHECKS[name](TOP)
        for rule, what in found:
            print(f"{name} {rule}: {what}", file=sys.stderr)
        wrong += len(found)
        print(f"{name}: {'ok' if not found else f'{len(found)} found'}", flush=True)
    if wrong:
        return 1
    patches = sorted(p for p in (Path(__file__).parent / "faults").glob("*.patch") if p.stem.partition("-")[0] in names)
    with ThreadPoolExecutor(2) as several:
        missed = [said for said in several.map(planted, patches) if said]
    for said in missed:
        print(said, file=sys.stderr)
    # Each check has a fault of its own, and each rule of cfn-guard.
    have = {patch.stem.partition("-")[0] for patch in patches}
    without = sorted(set(names) - have)
    if "guard" in names:
        rules = (TOP / "deploy/guard/fleet.guard").read_text(encoding="utf-8").split("\nrule ")[1:]
        tried = {patch.stem.partition("-")[2] for patch in patches}
        without += sorted({rule.split()[0] for rule in rules} - tried)
    if without:
        print(f"nothing is planted for: {', '.join(without)}", file=sys.stderr)
    print(f"faults: {len(patches) - len(missed)} of {len(patches)} planted ones were found under their names")
    return 1 if missed or without else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(CHECKS)))
