"""What each role may, beside what its component was seen to do: nothing missing, nothing unused."""

import tomllib
import urllib.error
import urllib.request
from pathlib import Path

from fleet import ACCOUNT, REGION, check, equal, say
from gate import Gate, actions

UNSEEN = tomllib.loads((Path(__file__).parent / "unseen.toml").read_text(encoding="utf-8"))


def _excused(component: str) -> dict[str, str]:
    """Actions that no test sees, each with the reason."""
    return UNSEEN["everybody"] | UNSEEN.get(component, {})


def compare(gate: Gate, metrics: dict[str, tuple[str, dict]], names: list[str]) -> None:
    equal(gate.refused, [], "what workers asked for and their roles do not allow")
    of_queues = {"sqs:SendMessage", "sqs:GetQueueUrl"}
    for name in names:
        principal = gate.principals[name]
        counted = {key for component, requests in metrics.values() if component == name for key in requests}
        check(counted, f"{name}: its metric says nothing")
        # Two witnesses: what a worker says that it asked, and what came along.
        through = set(gate.seen[name])
        equal(counted - through, set(), f"{name}: its metric has what did not come through the gate")
        granted = gate.policies.granted(principal)
        needed = {action for service, operation in counted for action in actions(service, operation)}
        if ("DynamoDB", "TransactWriteItems") in counted:
            needed -= {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"}
        used = {action for action, _ in gate.used[name]}
        equal(needed - granted - of_queues, set(), f"{name}: asked for by its metric and not allowed by its role")
        unused = granted - used - _excused(name).keys()
        equal(unused, set(), f"{name}: allowed, never used, and no reason in tests/deploy/unseen.toml")
        # A reason that is none any more.
        needless = UNSEEN.get(name, {}).keys() & used | UNSEEN.get(name, {}).keys() - granted
        equal(needless, set(), f"{name}: in tests/deploy/unseen.toml, and seen or not allowed")
        sids = {sid for _, sid in gate.used[name] if " at " not in sid}
        idle = {of["Sid"] for of in gate.policies.identity[principal]} - sids - set(UNSEEN["statements"])
        equal(idle, set(), f"{name}: statements that allowed nothing that was asked for")
        say(f"{name:9} {sum(gate.seen[name].values()):5} requests, {len(through):2} operations; "
            f"{len(granted)} actions granted, {len(used & granted)} seen used, {len(granted - used)} with a reason")
    everywhere = set.intersection(*({action for action, _ in gate.used[name]} for name in names))
    equal(UNSEEN["everybody"].keys() & everywhere, set(), "in unseen.toml for everybody, and seen of everybody")


def refused_is_refused(gate: Gate) -> None:
    """The gate bites: what a component of a fleet must not be able to do, it cannot."""
    bucket = f"flt-{ACCOUNT}-{REGION}"
    for component, method, path, target, body in (
        ("train", "GET", f"/{bucket}/u/any", "", ""),
        ("deploy", "GET", "/flt-lake/birds/penguins.csv", "", ""),
        ("extract", "GET", "/somebody-elses/data.csv", "", ""),
        ("train", "DELETE", f"/{bucket}/r/a/train/0/a1/model.bin", "", ""),
        ("train", "PUT", f"/{bucket}/s/forged", "", "x"),
        ("train", "POST", "/", "AmazonSQS.ReceiveMessage", '{"QueueUrl": "http://x/%s/flt-deploy"}' % ACCOUNT),
        ("train", "POST", "/", "AmazonSQS.SendMessage", '{"QueueUrl": "http://x/%s/flt-intake"}' % ACCOUNT),
        ("train", "POST", "/", "AmazonSQS.SendMessage", '{"QueueUrl": "http://x/%s/flt-deploy-dead"}' % ACCOUNT),
        ("train", "POST", "/", "AmazonSQS.SendMessage", '{"QueueUrl": "http://x/%s/other-deploy"}' % ACCOUNT),
        ("train", "POST", "/", "DynamoDB_20120810.GetItem", '{"TableName": "other"}'),
        ("train", "POST", "/", "DynamoDB_20120810.Query", '{"TableName": "flt", "IndexName": "listed"}'),
        ("train", "POST", "/", "DynamoDB_20120810.BatchWriteItem", '{"RequestItems": {"flt": []}}'),
        ("nobody", "POST", "/", "DynamoDB_20120810.GetItem", '{"TableName": "flt"}'),
    ):
        before = len(gate.refused)
        request = urllib.request.Request(gate.url + path, data=body.encode() or None, method=method)
        request.add_header("Authorization", f"AWS4-HMAC-SHA256 Credential=AKIA{component.upper()}/20260101/x")
        request.add_header("X-Amz-Target", target)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                check(False, f"{component} was let do {method} {path} {target} {body}: {answer.status}")
        except urllib.error.HTTPError as error:
            check(error.code in (400, 403), error)
        equal(len(gate.refused), before + 1, f"refusals of {component}: {method} {path} {target} {body}")
        gate.refused.pop()
    say("13 things that no component may do were refused")
