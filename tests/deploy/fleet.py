"""The emulator, the stacks in it, and workers that are started as the task definitions in it say."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "deploy/bin"))
import settings  # noqa: E402

REGION = "us-east-1"
ACCOUNT = "000000000000"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/flt@sha256:"
START = time.monotonic()


class Failure(Exception):
    """Something is not as it should be."""


def say(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def check(holds: object, what: object) -> None:
    if not holds:
        raise Failure(str(what))


def equal(found: object, wanted: object, what: str) -> None:
    check(found == wanted, f"{what}: {found!r}, and should be {wanted!r}")


def wait_for(what: str, seconds: float, look):
    """The first answer of `look` that is not None."""
    deadline = time.monotonic() + seconds
    while (answer := look()) is None:
        if time.monotonic() > deadline:
            raise Failure(f"after {seconds:.0f} s still not seen: {what}")
        time.sleep(0.2)
    return answer


def image(letter: str) -> str:
    return IMAGE + letter * 64


class Emulator:
    """AWS, as far as the emulator goes; ends with the block."""

    def __init__(self, stack: contextlib.ExitStack, tools: Path, environment: Path) -> None:
        self.process = subprocess.Popen(
            [str(TOP / "tests/scripts/emulator"), str(tools)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stack.callback(self._end)
        said = self.process.stdout.readline()
        check(said.startswith("ready "), f"the emulator does not start: {said}")
        self.port = int(said.split()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment_file = environment
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "FLEETLINE_"))
        } | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "people",
            "AWS_SECRET_ACCESS_KEY": "people",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "FLEETLINE_DEPLOY_POLL_SECONDS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def _end(self) -> None:
        # It ends when its standard input does.
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def client(self, service: str):
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="people", aws_secret_access_key="people"
        )

    def run(self, *command: str, code: int = 0, environment: dict | None = None, seconds: float = 300) -> str:
        done = subprocess.run(
            [str(part) for part in command], env=self.environment | (environment or {}), capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=seconds, cwd=TOP,
        )
        check(done.returncode == code, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def deploy(self, component: str, *arguments: str, code: int = 0) -> str:
        return self.run(
            sys.executable, TOP / "deploy/bin/deploy", component, self.environment_file, "--yes", *arguments, code=code
        )


class Worker:
    """A process of a service, started as its task definition says. What differs: the folder, ports, and the endpoint."""

    def __init__(self, name: str, component: str, binary: Path, container: dict, folder: Path, endpoint: str) -> None:
        self.name, self.component = name, component
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
            self.port = any_port.getsockname()[1]
        folder.mkdir(parents=True)
        told = {of["name"]: of["value"] for of in container["environment"]}
        check(told["FLEETLINE_METRICS_ADDR"].endswith(":9464"), told)
        environment = told | {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": f"AKIA{component.upper()}",
            "AWS_SECRET_ACCESS_KEY": "any",
            "FLEETLINE_METRICS_ADDR": f"127.0.0.1:{self.port}",
            "FLEETLINE_SCRATCH": str(folder / "scratch"),
            "FLEETLINE_DRAIN_TIMEOUT": "20s",
            "FLEETLINE_HEAVY_PERMITS": "1",
            # So that a short test sees what a sweeper asks.
            "FLEETLINE_SWEEP_INTERVAL": "10s",
        }
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(binary), *container["command"]], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )

    def _ask(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def is_ready(self) -> bool:
        check(self.process.poll() is None, f"{self.name} ended:\n{self.log.read_text(errors='replace')[-2000:]}")
        return self._ask("/readyz") is not None

    def requests(self) -> dict[tuple[str, str], int]:
        """What its metric says that it asked AWS for."""
        text = self._ask("/metrics") or ""
        found: dict[tuple[str, str], int] = {}
        for labels, number in re.findall(r"^fleetline_backend_requests_total\{(.*)\} (\d+)$", text, re.MULTILINE):
            of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            key = (of["service"], of["operation"])
            found[key] = found.get(key, 0) + int(number)
        return found

    def end(self) -> None:
        """As ECS does: SIGTERM, and SIGKILL for who does not listen."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def policies(emulator: Emulator, names: list[str], fleet: str) -> tuple[dict, dict, dict]:
    """Of the emulator's own APIs: statements by role, statements by resource; the task role of each component, and as
    `NAME-execution` the other one."""
    iam, sqs = emulator.client("iam"), emulator.client("sqs")
    identity, resources, principals = {}, {}, {}
    for name, kind in ((name, kind) for name in names for kind in ("task", "execution")):
        role = iam.get_role(RoleName=f"{fleet}-{name}-{kind}")["Role"]
        principals[name if kind == "task" else f"{name}-execution"] = role["Arn"]
        statements = []
        for policy in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
            document = json.loads(document) if isinstance(document, str) else document
            statements += document["Statement"]
        identity[role["Arn"]] = statements
    # Whoever it is attached to: a role that only this test knows.
    people = f"arn:aws:iam::{ACCOUNT}:role/people"
    arn = f"arn:aws:iam::{ACCOUNT}:policy/{fleet}-people"
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    document = json.loads(document) if isinstance(document, str) else document
    identity[people], principals["people"] = document["Statement"], people
    for url in sqs.list_queues(QueueNamePrefix=f"{fleet}-")["QueueUrls"]:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        if "Policy" in attributes:
            resources[attributes["QueueArn"]] = json.loads(attributes["Policy"])["Statement"]
    return identity, resources, principals
