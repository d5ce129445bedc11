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
    equal(gate.refused, [], "what workers and people asked for and may not")
    wrong = [text for name in names for text in _of_component(gate, metrics, name)]
    everywhere = set.intersection(*({action for action, _ in gate.used[name]} for name in names))
    if needless := UNSEEN["everybody"].keys() & everywhere:
        wrong.append(f"in unseen.toml for everybody, and seen of everybody: {sorted(needless)}")
    for name in names:
        granted = gate.policies.granted(gate.principals[f"{name}-execution"])
        if granted != UNSEEN["execution"].keys():
            wrong.append(f"{name}: its execution role and [execution] of unseen.toml differ: {sorted(granted ^ UNSEEN['execution'].keys())}")
    check(not wrong, "\n".join(wrong))
    say(f"people    {sum(gate.seen['people'].values()):5} requests, {len(gate.seen['people']):2} operations, none refused")


def _of_component(gate: Gate, metrics: dict[str, tuple[str, dict]], name: str) -> list[str]:
    principal = gate.principals[name]
    counted = {key for component, requests in metrics.values() if component == name for key in requests}
    through = set(gate.seen[name])
    granted = gate.policies.granted(principal)
    used = {action for action, _ in gate.used[name]}
    # Of a transaction the metric tells no more than its name; what it is made of came through the gate.
    needed = {action for service, operation in counted if operation != "TransactWriteItems" for action in actions(service, operation)}
    own = UNSEEN.get(name, {}).keys()
    sids = {sid for _, sid in gate.used[name] if " at " not in sid}
    idle = {of["Sid"] for of in gate.policies.identity[principal]} - sids - set(UNSEEN["statements"])
    findings = [
        # Two witnesses: what a worker says that it asked, and what came along.
        ("its metric has what did not come through the gate", counted - through),
        # To other components' queues it may send because their policies say so.
        ("asked for by its metric and not allowed by its role", needed - granted - {"sqs:SendMessage", "sqs:GetQueueUrl"}),
        ("allowed, never used, and no reason in tests/deploy/unseen.toml", granted - used - _excused(name).keys()),
        ("in tests/deploy/unseen.toml, and seen or not allowed", own & used | own - granted),
        ("statements that allowed nothing that was asked for", idle),
    ]
    say(
        f"{name:9} {sum(gate.seen[name].values()):5} requests, {len(through):2} operations; {len(granted)} actions granted, "
        f"{len(used & granted)} seen used, {len(granted - used)} with a reason"
    )
    said = [f"{name}: {what}: {sorted(found)}" for what, found in findings if found]
    return said if counted else [*said, f"{name}: its metric says nothing"]


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
