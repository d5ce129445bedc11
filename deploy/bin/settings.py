"""What deploy/components.toml and deploy/environments say, as parameters of the two templates."""

import re
import tomllib
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1]
FOUNDATION = "foundation"
CLASSES = ["standard", "large"]
"""In the order of the template."""
MIB = {"MiB": 1, "GiB": 1024}
FARGATE_MIB = {
    256: [512, 1024, 2048],
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
"""The memory that Fargate has for so many units of processor."""
ENVIRONMENT = {
    "fleet", "region", "account", "source_buckets", "producers", "upstreams", "intake_events", "vpc_cidr", "monitoring",
    "log_retention_days", "scratch_gib", "emulated", "components",
}
AGE_FACTOR = 3
"""People are woken when a message waits for so many times the acceptable latency."""
LEAST_AGE_SECONDS = 300
"""And not by what a task needs to start: an empty pool takes a minute or two until it runs."""


class Wrong(Exception):
    """What is written cannot be deployed; for people."""


def components() -> dict:
    return tomllib.loads((DEPLOY / "components.toml").read_text(encoding="utf-8"))


def environment(name: str) -> dict:
    """By its name, or by the path of a file."""
    path = Path(name) if name.endswith(".toml") else DEPLOY / "environments" / f"{name}.toml"
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        there = ", ".join(sorted(file.stem for file in (DEPLOY / "environments").glob("*.toml")))
        raise Wrong(f"no environment {name}: {error.strerror}: {path}. There are: {there}") from None
    except tomllib.TOMLDecodeError as error:
        raise Wrong(f"{path}: {error}") from None
    if unknown := set(found) - ENVIRONMENT:
        raise Wrong(f"{path}: unknown: {', '.join(sorted(unknown))}. Known: {', '.join(sorted(ENVIRONMENT))}")
    for key in ("fleet", "region"):
        if key not in found:
            raise Wrong(f"{path}: {key} is missing")
    # Policies say FLEET-*: a fleet whose name goes on where another's ends would be in reach of it.
    others = {tomllib.loads(file.read_text(encoding="utf-8")).get("fleet", "") for file in path.parent.glob("*.toml")}
    if longer := [other for other in others if other.startswith(f"{found['fleet']}-")]:
        raise Wrong(f"{path}: fleet {found['fleet']!r} is the beginning of {', '.join(longer)}: choose another name")
    if unknown := set(found.get("components", {})) - set(components()):
        raise Wrong(f"{path}: no such component: {', '.join(sorted(unknown))}")
    return found


def _partition(region: str) -> str:
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _sources(found: dict) -> tuple[list[str], list[str]]:
    """ARNs of the buckets, and of the objects in them that may be read."""
    arn = f"arn:{_partition(found['region'])}:s3:::"
    buckets, objects = [], []
    for uri in found.get("source_buckets", []):
        match = re.fullmatch(r"s3://([a-z0-9.-]{3,63})(/.*)?", uri)
        if not match or "*" in uri:
            raise Wrong(f"source_buckets: {uri!r} is not s3://BUCKET or s3://BUCKET/PREFIX")
        prefix = (match[2] or "").strip("/")
        buckets.append(arn + match[1])
        objects.append(f"{arn}{match[1]}/{prefix}/*" if prefix else f"{arn}{match[1]}/*")
    return sorted(set(buckets)), objects


def of_foundation(found: dict) -> dict[str, str]:
    buckets, objects = _sources(found)
    parameters = {
        "Fleet": found["fleet"],
        "SourceBuckets": ",".join(buckets),
        "SourceObjects": ",".join(objects),
        "Monitoring": found.get("monitoring", ""),
    }
    if "vpc_cidr" in found:
        parameters["VpcCidr"] = found["vpc_cidr"]
    return parameters


def of_component(found: dict, name: str) -> dict[str, str]:
    """All parameters but the images."""
    listed = components()
    if name not in listed:
        raise Wrong(f"no component {name}. There are: {', '.join(listed)}, and {FOUNDATION}")
    component = listed[name]
    fargate = component["fargate"] | found.get("components", {}).get(name, {})
    if unknown := set(fargate) - set(component["fargate"]):
        raise Wrong(f"{name}: unknown: {', '.join(sorted(unknown))}")
    if unknown := set(component["classes"]) - set(CLASSES):
        raise Wrong(f"{name}: deploy/component.yaml has no class {', '.join(unknown)}")
    classes = [of for of in CLASSES if of in component["classes"]]
    memories = [_mib(component["classes"][of]) for of in classes]
    cpus = [round(1024 * fargate["vcpus"][of]) for of in classes]
    for of, cpu, memory in zip(classes, cpus, memories):
        if memory not in FARGATE_MIB.get(cpu, []):
            raise Wrong(f"{name}, {of}: Fargate has no task of {cpu / 1024:g} vcpus and {memory} MiB")
    latency, seconds = fargate["acceptable_latency_seconds"], fargate["stage_seconds"]
    backlog = latency / seconds
    buckets, objects = _sources(found)
    senders = found.get("producers", []) + (found.get("upstreams", []) if name == "intake" else [])
    return {
        "Fleet": found["fleet"],
        "Component": name,
        "Architecture": fargate["architecture"].upper(),
        "Classes": ",".join(of.capitalize() for of in classes),
        "LargeClass": "yes" if "large" in classes else "no",
        "Cpus": _list(cpus),
        "Memories": _list(memories),
        "MinTasks": _list(fargate["min_tasks"][of] for of in classes),
        "MaxTasks": _list(fargate["max_tasks"][of] for of in classes),
        "OnDemandWeight": str(100 - fargate["spot_percent"]),
        "SpotWeight": str(fargate["spot_percent"]),
        "ScratchGiB": str(found.get("scratch_gib", 50)),
        "BacklogPerTask": f"{backlog:.4g}",
        "SurplusPerTask": f"{min(backlog / 2, 1):.4g}",
        "AlarmAgeSeconds": str(max(LEAST_AGE_SECONDS, AGE_FACTOR * latency)),
        "SourceBuckets": ",".join(found.get("source_buckets", [])),
        "SourceBucketArns": ",".join(buckets),
        "SourceObjectArns": ",".join(objects),
        "Senders": ",".join(senders),
        "IntakeEvents": ",".join(found.get("intake_events", [])),
        "LogRetentionDays": str(found.get("log_retention_days", 30)),
        "Emulated": "yes" if found.get("emulated", False) else "no",
    }


def _mib(text: str) -> int:
    match = re.fullmatch(r"(\d+)(MiB|GiB)", text)
    if not match:
        raise Wrong(f"{text!r} is no memory; write it as 4GiB")
    return int(match[1]) * MIB[match[2]]


def _list(values) -> str:
    return ",".join(str(value) for value in values)
