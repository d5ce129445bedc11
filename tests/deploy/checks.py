"""What can be seen of the files alone. Each check takes the folder of a checkout and returns what it found wrong, each with the
name of the rule that it breaks: a fault that is planted must be found under its name (tests/deploy/faults)."""

import contextlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import guardpycfn
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from templates import decided, unrolled  # noqa: E402

TEMPLATES = ("foundation", "component")
REGIONS = "us-east-1,eu-west-1"
MAX_TEMPLATE_BYTES = 51_200
"""CloudFormation takes no longer one from a file."""
NO_COMPONENTS = {"aws", "setup", "prometheus", "grafana"}
Found = list[tuple[str, str]]


def ran(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def tool(name: str) -> str:
    """One of the virtual environment's."""
    return str(Path(sys.executable).parent / name)


def lint(top: Path) -> Found:
    paths = [str(top / f"deploy/{name}.yaml") for name in TEMPLATES]
    found = [
        ("size", f"{path} has more than {MAX_TEMPLATE_BYTES} bytes")
        for path in paths
        if Path(path).stat().st_size > MAX_TEMPLATE_BYTES
    ]
    code, said = ran(tool("cfn-lint"), "--format", "json", "--regions", *REGIONS.split(","), "-t", *paths)
    for of in json.loads(said or "[]"):
        found.append((of["Rule"]["Id"], f"{of['Filename']}:{of['Location']['Start']['LineNumber']}: {of['Message']}"))
    if code and not found:
        found.append(("cfn-lint", said))
    return found


def guard(top: Path) -> Found:
    rules = (top / "deploy/guard/fleet.guard").read_text(encoding="utf-8")
    found, applied, known = [], set(), set()
    for name in TEMPLATES:
        whole = unrolled(top / f"deploy/{name}.yaml")
        for holds in (True, False):
            template = json.dumps(decided(whole, lambda _, holds=holds: holds))
            answer = guardpycfn.validate_with_guard(template, rules, True)
            if not answer.get("success"):
                return [("cfn-guard", str(answer))]
            for child in answer["result"]["children"]:
                rule = child["container"]["RuleCheck"]
                known.add(rule["name"])
                if rule["status"] != "SKIP":
                    applied.add(rule["name"])
                if rule["status"] == "FAIL":
                    found.append((rule["name"], f"{name}, conditions {holds}: {reasons(child)}"))
    found += [(rule, "applies to nothing: it holds nothing") for rule in sorted(known - applied)]
    return found


def reasons(node: object) -> str:
    """Where cfn-guard says that something is not so: the paths in its answer."""
    paths = sorted(set(re.findall(r"'path': '([^']+)'", str(node))))
    return ", ".join(paths[-3:])


def _last(name: object) -> str:
    """The part of an alarm's name that is no fleet, component or queue."""
    text = name["Fn::Sub"] if isinstance(name, dict) else name
    return re.sub(r"^(\$\{\w+\}-)+", "", text[0] if isinstance(text, list) else text)


def runbook(top: Path) -> Found:
    alarms, told = set(), {}
    for name in TEMPLATES:
        for of in unrolled(top / f"deploy/{name}.yaml")["Resources"].values():
            if of["Type"] == "AWS::CloudWatch::Alarm":
                alarms.add(_last(of["Properties"]["AlarmName"]))
                told[_last(of["Properties"]["AlarmName"])] = of["Properties"]["AlarmDescription"]
            if of["Type"] == "AWS::Events::Rule":
                alarms.add(_last(of["Properties"]["Name"]))
    for path in (top / "deploy/prometheus/rules").glob("*.yaml"):
        for group in yaml.safe_load(path.read_text(encoding="utf-8")).get("groups", []):
            alarms |= {rule["alert"] for rule in group["rules"] if "alert" in rule}
    text = (top / "deploy/RUNBOOK.md").read_text(encoding="utf-8")
    part = re.search(r"^## Alarms$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    headings = set(re.findall(r"^### (\S+)$", part[1] if part else "", re.MULTILINE))
    found = [("alarms", f"deploy/RUNBOOK.md has no heading {name}") for name in sorted(alarms - headings)]
    found += [("alarms", f"deploy/RUNBOOK.md speaks of {name}, which is no alarm") for name in sorted(headings - alarms)]
    found += [
        ("alarms", f"{name}: its description names another heading: {said}")
        for name, said in told.items()
        if not said.endswith(f'deploy/RUNBOOK.md, "{name}"')
    ]
    return found


def _settings(top: Path):
    """The deploy script's own reader, of that checkout."""
    spec = importlib.util.spec_from_file_location("settings_of_checkout", top / "deploy/bin/settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def components(top: Path) -> Found:
    found: Found = []
    settings = _settings(top)
    listed = settings.components()
    compose = yaml.safe_load((top / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    services = set(compose) - NO_COMPONENTS
    if services != set(listed):
        found.append(("compose", f"docker-compose.yml has {sorted(services)}, the list of components {sorted(listed)}"))
    for name in services & set(listed):
        memory = listed[name]["classes"]["standard"].removesuffix("iB").lower()
        if compose[name].get("mem_limit") != memory:
            found.append(("compose", f"docker-compose.yml gives {name} {compose[name].get('mem_limit')}, the list {memory}"))
    scrape = yaml.safe_load((top / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    names = next(of for of in scrape["scrape_configs"] if of["job_name"] == "fleetline")["dns_sd_configs"][0]["names"]
    if set(names) != set(listed):
        found.append(("scrape", f"deploy/prometheus/prometheus.yml asks {sorted(names)}, the list has {sorted(listed)}"))
    on_ecs = yaml.safe_load((top / "deploy/prometheus/ecs.yml").read_text(encoding="utf-8"))
    names = next(of for of in on_ecs["scrape_configs"] if of["job_name"] == "fleetline")["dns_sd_configs"][0]["names"]
    queues = {name + ("" if of == "standard" else f"-{of}") for name, part in listed.items() for of in part["classes"]}
    if {name.partition(".")[0] for name in names} != queues:
        found.append(("scrape", f"deploy/prometheus/ecs.yml asks {sorted(names)}, the services are {sorted(queues)}"))
    whole = {name: unrolled(top / f"deploy/{name}.yaml")["Parameters"] for name in TEMPLATES}
    for path in sorted((top / "deploy/environments").glob("*.toml")):
        try:
            environment = settings.environment(str(path))
            sets = {name: settings.of_component(environment, name) for name in listed}
        except settings.Wrong as wrong:
            found.append(("fargate", str(wrong)))
            continue
        for name, given in [("foundation", settings.of_foundation(environment)), *sets.items()]:
            known = whole["foundation" if name == "foundation" else "component"]
            needed = {key for key, of in known.items() if "Default" not in of} - {"Image"}
            if not needed <= set(given) <= set(known):
                wrong = sorted(needed - set(given) | set(given) - set(known))
                found.append(("parameters", f"{path.name}, {name}: missing or unknown to the template: {wrong}"))
    return found


def dashboard_rules(top: Path) -> dict:
    """Every query of the dashboards as a rule, so that promtool reads it."""
    rules = []
    for path in sorted((top / "deploy/grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for at, target in enumerate(panel.get("targets", [])):
                query = target["expr"].replace("$__rate_interval", "5m").replace("$stage", ".*")
                rules.append({"record": f"panel:{panel['id']}:{at}", "expr": query, "labels": {"title": panel["title"]}})
    return {"groups": [{"name": "dashboard", "rules": rules}]}


def prometheus(top: Path) -> Found:
    found: Found = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        queries = dashboard_rules(top)
        if len(queries["groups"][0]["rules"]) < 10:
            found.append(("dashboard", "there are fewer queries than panels: nothing would be held"))
        (folder / "dashboard.yaml").write_text(yaml.safe_dump(queries), encoding="utf-8")
        here = top / "deploy/prometheus"
        for rule, arguments in (
            ("config", ["check", "config", str(here / "prometheus.yml"), str(here / "ecs.yml")]),
            ("rules", ["check", "rules", *map(str, sorted((here / "rules").glob("*.yaml")))]),
            ("tests", ["test", "rules", *map(str, sorted((here / "tests").glob("*.yaml")))]),
            ("dashboard", ["check", "rules", str(folder / "dashboard.yaml")]),
        ):
            code, said = ran("promtool", *arguments)
            if code:
                found.append((rule, said.strip()))
    return found


def workflows(top: Path) -> Found:
    found: Found = []
    paths = sorted(map(str, (top / ".github/workflows").glob("*.yml")))
    if not paths:
        return [("schema", "there is no workflow")]
    for rule, command in (
        ("schema", [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *paths]),
        ("security", [tool("zizmor"), "--offline", "--quiet", "--min-severity", "medium", *paths]),
        ("yaml", [tool("yamllint"), "--strict", "-d", "{extends: relaxed, rules: {line-length: {max: 130}}}", *paths]),
    ):
        code, said = ran(*command)
        if code:
            found.append((rule, said.strip()))
    for path in paths:
        for script in re.findall(r"(?<![\w./-])((?:deploy|tests)/[\w./-]*/[\w-]+)", Path(path).read_text(encoding="utf-8")):
            if not (top / script).exists():
                found.append(("scripts", f"{path} runs {script}, which is not there"))
    return found


CHECKS = {
    "lint": lint,
    "guard": guard,
    "runbook": runbook,
    "components": components,
    "prometheus": prometheus,
    "workflows": workflows,
}
