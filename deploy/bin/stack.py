"""Stacks of CloudFormation, by the aws CLI: what is there, what would change, and making it so."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

KEEPS = {"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::ECR::Repository"}
"""What holds something that would be lost."""
POLL_SECONDS = float(os.environ.get("FLEETLINE_DEPLOY_POLL_SECONDS", "5"))
NO_CHANGE = ("didn't contain changes", "No updates are to be performed")
SHOWN = 90
"""So much of a value."""


class Failed(Exception):
    """AWS said no; for people."""


class Aws:
    """The aws CLI in one region. Credentials are where it finds them."""

    def __init__(self, region: str) -> None:
        self.region = region
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        # Version 1 of the CLI does not take it from the environment for every service.
        self.base = ["aws", "--region", region, "--output", "json"]
        self.base += ["--endpoint-url", endpoint] if endpoint else []

    def __call__(self, *arguments: str) -> dict:
        try:
            done = subprocess.run([*self.base, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise Failed("there is no aws CLI: install it") from None
        if done.returncode != 0:
            raise Failed(f"aws {' '.join(arguments[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def account(self) -> str:
        return self("sts", "get-caller-identity")["Account"]


class Stack:
    """One stack, there or not."""

    def __init__(self, aws: Aws, name: str) -> None:
        self.aws, self.name = aws, name

    def look(self) -> dict | None:
        try:
            return self.aws("cloudformation", "describe-stacks", "--stack-name", self.name)["Stacks"][0]
        except Failed as error:
            if "does not exist" in str(error):
                return None
            raise

    def parameters(self) -> dict[str, str]:
        found = self.look() or {}
        return {of["ParameterKey"]: of["ParameterValue"] for of in found.get("Parameters", [])}

    def prepare(self, template: Path | None, parameters: dict[str, str]) -> list[dict] | None:
        """Makes a change set. Its changes; None if there are none. Without a template the present one stays, and so do
        parameters that are not given."""
        there = self.look()
        status = (there or {}).get("StackStatus", "")
        if status == "ROLLBACK_COMPLETE":
            raise Failed(
                f"stack {self.name} could not be made and cannot be changed. Its queues and logs stay; remove it:\n"
                f"  aws cloudformation delete-stack --region {self.aws.region} --stack-name {self.name}"
            )
        if status.endswith("IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
            raise Failed(f"stack {self.name} is {status}: somebody else changes it. Wait for that to end")
        is_new = not status or status == "REVIEW_IN_PROGRESS"
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        if template is None:
            rest = self.parameters().keys() - parameters.keys()
            given += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(rest)]
        self.change_set = f"deploy-{time.time_ns()}"
        self.aws(
            "cloudformation", "create-change-set", "--stack-name", self.name, "--change-set-name", self.change_set,
            "--change-set-type", "CREATE" if is_new else "UPDATE", "--parameters", json.dumps(given),
            *(["--use-previous-template"] if template is None else ["--template-body", f"file://{template}"]),
            "--capabilities", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND",
        )
        while True:
            found = self._change_set()
            if found["Status"] in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                time.sleep(POLL_SECONDS)
                continue
            if found["Status"] == "CREATE_COMPLETE":
                return [of["ResourceChange"] for of in found["Changes"] if "ResourceChange" in of]
            self.discard()
            reason = found.get("StatusReason", "")
            if any(text in reason for text in NO_CHANGE):
                return None
            raise Failed(f"no change set of {self.name}: {reason}")

    def _change_set(self) -> dict:
        return self.aws(
            "cloudformation", "describe-change-set", "--stack-name", self.name, "--change-set-name", self.change_set,
            "--include-property-values",
        )

    def discard(self) -> None:
        self.aws(
            "cloudformation", "delete-change-set", "--stack-name", self.name, "--change-set-name", self.change_set
        )

    def execute(self) -> str:
        """Carries the change set out, says what happens meanwhile, and returns how it ended."""
        seen = {event["EventId"] for event in self._events()}
        self.aws(
            "cloudformation", "execute-change-set", "--stack-name", self.name, "--change-set-name", self.change_set
        )
        ended = ""
        while True:
            for event in reversed(self._events()):
                if event["EventId"] in seen:
                    continue
                seen.add(event["EventId"])
                _tell(event)
                if event["LogicalResourceId"] == self.name:
                    ended = event["ResourceStatus"]
            # Its own event, and not its status, which for a moment is still that of the time before.
            if ended and not ended.endswith("IN_PROGRESS"):
                return ended
            time.sleep(POLL_SECONDS)

    def _events(self) -> list[dict]:
        return self.aws("cloudformation", "describe-stack-events", "--stack-name", self.name)["StackEvents"]


def _tell(event: dict) -> None:
    status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
    if status.endswith("COMPLETE") or "FAILED" in status or "ROLLBACK" in status:
        print(f"  {status:28} {event['LogicalResourceId']:28} {reason}".rstrip(), flush=True)


def shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:30]}…{text[-(SHOWN - 31):]}"


def describe(changes: list[dict]) -> list[str]:
    """A line for each change, and one for each property of it."""
    lines = []
    for change in sorted(changes, key=lambda of: (of["Action"], of["LogicalResourceId"])):
        loses = " REPLACES IT" if change.get("Replacement") == "True" else ""
        lines.append(f"  {change['Action']:7} {change['LogicalResourceId']:28} {change['ResourceType']}{loses}")
        for detail in change.get("Details", []):
            target = detail.get("Target", {})
            if target.get("Attribute") != "Properties" or detail.get("Evaluation") == "Dynamic":
                continue
            before, after = target.get("BeforeValue"), target.get("AfterValue")
            said = f": {shown(before)} -> {shown(after)}" if before is not None or after is not None else ""
            lines.append(f"          {target.get('Path') or target.get('Name')}{said}")
    return lines


def losses(changes: list[dict]) -> list[str]:
    """What holds something and would be removed or replaced."""
    return [
        change["LogicalResourceId"]
        for change in changes
        if change["ResourceType"] in KEEPS
        and (change["Action"] == "Remove" or change.get("Replacement") in ("True", "Conditional"))
    ]


def fail(program: str, error: Exception) -> None:
    sys.exit(f"{program}: {error}")
