"""deploy/bin/changed-components, on commits made for it in a copy of the repository."""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ALL = sorted(tomllib.loads((TOP / "deploy/components.toml").read_text(encoding="utf-8")))
STAGES = [name for name in ALL if name != "intake"]


def edit(path: str, old: str, new: str):
    def apply(top: Path) -> None:
        text = (top / path).read_text(encoding="utf-8")
        changed = re.sub(old, new, text, count=1, flags=re.DOTALL)
        assert changed != text, f"{path} has no {old!r}"
        (top / path).write_text(changed, encoding="utf-8")

    return apply


def append(path: str):
    def apply(top: Path) -> None:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        with (top / path).open("a", encoding="utf-8") as file:
            file.write("\n// A change.\n" if path.endswith(".rs") else "\n# A change.\n")

    return apply


def locked(name: str):
    """Another version of a dependency."""
    return edit("Cargo.lock", rf'(name = "{name}"\nversion = ")[^"]+', r"\g<1>99.0.0")


CASES = [
    ("a stage of its own", append(next(p for p in ("worker/stages/src/train/mod.rs", "worker/stages/src/train.rs") if (TOP / p).exists())), ["train"]),
    ("what all stages share", append("worker/stages/src/registry.rs"), STAGES),
    ("the learning", append("ml/src/lib.rs"), STAGES),
    ("the worker", append("worker/src/pool.rs"), ALL),
    ("the intake", append("worker/src/intake.rs"), ["intake"]),
    ("what only a laptop does", append("worker/src/run/mod.rs"), []),
    ("the contract", append("pipeline/src/lib.rs"), ALL),
    ("the backend that is deployed", append("pipeline/backends/aws/src/lib.rs"), ALL),
    ("the backend that is not", append("pipeline/backends/local/src/lib.rs"), []),
    ("people's binary", append("producer/src/lib.rs"), []),
    ("tests", append("tests/src/lib.rs"), []),
    ("a page", append("README.md"), []),
    ("a page beside a stage", append("worker/stages/src/README.md"), []),
    ("the workspace", append("Cargo.toml"), ALL),
    ("a file that nobody knows", append("build/new.cfg"), ALL),
    ("the template", append("deploy/component.yaml"), ALL),
    ("the foundation", append("deploy/foundation.yaml"), ["foundation"]),
    ("the image", append("deploy/Dockerfile"), ALL),
    ("rules of Prometheus", append("deploy/prometheus/prometheus.yml"), []),
    ("a remark in the list", append("deploy/components.toml"), []),
    ("one component's settings", edit("deploy/components.toml", r"(\[train\.fargate\].*?spot_percent = )\d+", r"\g<1>11"), ["train"]),
    ("one component in one environment", edit("deploy/environments/dev.toml", r"(explain = .*?standard = )\d+", r"\g<1>3"), ["explain"]),
    ("how long an environment keeps logs", edit("deploy/environments/prod.toml", r"log_retention_days = \d+", "log_retention_days = 7"), ALL),
    ("an environment's sources", edit("deploy/environments/prod.toml", r"(log_ret)", r'source_buckets = ["s3://any-data"]\n\1'), ["foundation", "extract", "predict"]),
    ("who posts", edit("deploy/environments/prod.toml", r"(log_ret)", r'upstreams = ["arn:aws:iam::1:role/a"]\n\1'), ["intake"]),
    ("a dependency of the learning", locked("hessboost"), STAGES),
    ("a dependency of people's binary", locked("jiff"), []),
    ("a dependency of everything", locked("serde"), ALL),
    ("a dependency of the deployed backend", locked("aws-sdk-sqs"), ALL),
    ("a dependency of the other backend", locked("rusqlite"), []),
]


def git(top: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=top, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="fleetline-changed-") as folder:
        copy = Path(folder) / "copy"
        # As the working tree has it, committed or not.
        listed = git(TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        for path in filter(None, listed):
            if (TOP / path).is_file() and not path.startswith("examples/"):
                (copy / path).parent.mkdir(parents=True, exist_ok=True)
                (copy / path).write_bytes((TOP / path).read_bytes())
        git(copy, "init", "--quiet")
        git(copy, "add", "--all")
        git(copy, "commit", "--quiet", "-m", "base")
        base = git(copy, "rev-parse", "HEAD")
        for what, apply, wanted in CASES:
            apply(copy)
            git(copy, "add", "--all")
            git(copy, "commit", "--quiet", "-m", what)
            said = subprocess.run(
                [sys.executable, str(TOP / "deploy/bin/changed-components"), base, "HEAD"],
                cwd=copy, capture_output=True, text=True, check=True,
            ).stdout.split()
            if said != wanted:
                wrong += 1
                print(f"{what}: reaches {said}, and should {wanted}", file=sys.stderr)
            git(copy, "reset", "--quiet", "--hard", base)
            git(copy, "clean", "-fdq")
    print(f"changed-components: {len(CASES) - wrong} of {len(CASES)} changes reach whom they should")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
