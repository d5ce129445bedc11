"""The stacks in the emulator, and the fleet that they describe at work, for `make deploy-test`.

    emulated.py TOOLS BINARIES        TOOLS: where virtual environments are; BINARIES: the folder of worker and producer

Makes every stack by deploy/bin/deploy, asks each service itself what came of it, starts the workers as the task definitions
say, and has them run pipelines behind a gate that refuses what their roles do not allow. Then one component is deployed and
rolled back, and nothing of the others may have moved.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import access  # noqa: E402
import resources  # noqa: E402
from fleet import ACCOUNT, REGION, TOP, Emulator, Failure, Worker, check, equal, image, policies, say, settings, wait_for  # noqa: E402
from gate import Gate  # noqa: E402
from policies import Policies  # noqa: E402

FLEET = "flt"
LAKE = "flt-lake"
"""A bucket of somebody else's, in which sources are."""
ENVIRONMENT = f"""
fleet = "{FLEET}"
region = "{REGION}"
account = "{ACCOUNT}"
emulated = true
source_buckets = ["s3://{LAKE}/birds"]
upstreams = ["arn:aws:iam::{ACCOUNT}:role/orders"]
"""
PENGUINS = f"""
pipeline = "penguins"
seed = 7
[data]
source = {{ path = "s3://{LAKE}/birds/*.csv", nulls = ["NA"] }}
label = "species"
[intake]
max_open = 1
"""
PREDICT = """
pipeline = "penguins-daily"
[predict]
model = "penguins"
source = { path = "SOURCE", nulls = ["NA"] }
"""
RUN_SECONDS = 400


def main(tools: Path, binaries: Path) -> None:
    names = list(settings.components())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleetline-deploy-")))
        (folder / "test.toml").write_text(ENVIRONMENT, encoding="utf-8")
        emulator = Emulator(stack, tools, folder / "test.toml")
        producer = Producer(emulator, binaries / "producer")

        make_stacks(emulator, names)
        resources.assert_all(emulator, FLEET, producer)
        say("each service says of each resource what its template says; table, bucket and queues are those of `producer setup`")

        identity, at_resources, principals = policies(emulator, names, FLEET)
        gate = Gate(emulator.port, Policies(identity, at_resources), principals, ACCOUNT, REGION)
        stack.callback(gate.close)
        # From here on people, too, may only what the policy for them says.
        producer.environment = {"AWS_ENDPOINT_URL": gate.url, "AWS_ACCESS_KEY_ID": "AKIAPEOPLE"}
        workers = start_workers(stack, emulator, gate, binaries / "worker", folder)
        run_pipelines(emulator, producer, folder)
        access.refused_is_refused(gate)
        bury_a_letter_in_each(emulator, producer)
        metrics = {worker.name: (worker.component, worker.requests()) for worker in workers}
        for worker in workers:
            worker.end()
        access.compare(gate, metrics, names)
        deploy_alone(emulator, names)
        release_and_watch(emulator)


class Producer:
    def __init__(self, emulator: Emulator, binary: Path) -> None:
        self.emulator, self.binary = emulator, binary
        self.environment: dict[str, str] = {}

    def __call__(self, *arguments: str, backend: str = f"aws:{FLEET}@{ACCOUNT}", code: int = 0) -> object:
        said = self.emulator.run(
            str(self.binary), "--backend", backend, "--json", *arguments, code=code, environment=self.environment
        )
        return json.loads(said) if said.strip() else None

    def ends_well(self, run: str) -> dict:
        def ended() -> dict | None:
            shown = self("show", run)
            shown["status"] = shown["run"]["status"]
            check(shown["status"] in ("OPEN", "SUCCEEDED"), json.dumps(shown, indent=1)[:3000])
            return shown if shown["status"] == "SUCCEEDED" else None

        return wait_for(f"{run} SUCCEEDED", RUN_SECONDS, ended)


def make_stacks(emulator: Emulator, names: list[str]) -> None:
    emulator.deploy("foundation")
    say("the foundation's stack is made")
    # Without an image there is nothing to run.
    emulator.deploy(names[0], code=1)
    with ThreadPoolExecutor(3) as several:
        for _ in several.map(lambda name: emulator.deploy(name, "--image", image("a")), names):
            pass
    check("nothing changes" in emulator.deploy(names[0]), "a second deployment of the same changes something")
    say(f"the stacks of {', '.join(names)} are made")


def start_workers(stack, emulator: Emulator, gate: Gate, binary: Path, folder: Path) -> list[Worker]:
    ecs = emulator.client("ecs")
    arns = [arn for page in ecs.get_paginator("list_services").paginate(cluster=FLEET) for arn in page["serviceArns"]]
    services = [of for at in range(0, len(arns), 10) for of in
                ecs.describe_services(cluster=FLEET, services=arns[at:at + 10])["services"]]
    workers = []
    for service in sorted(services, key=lambda of: of["serviceName"]):
        definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        name = service["serviceName"]
        component = definition["taskRoleArn"].rpartition("/")[2].removeprefix(f"{FLEET}-").removesuffix("-task")
        worker = Worker(name, component, binary, definition["containerDefinitions"][0], folder / name, gate.url)
        stack.callback(worker.end)
        workers.append(worker)
    for worker in workers:
        wait_for(f"{worker.name} is ready", 120, lambda worker=worker: worker.is_ready() or None)
    say(f"{len(workers)} workers of {len(services)} services are ready")
    return workers


def run_pipelines(emulator: Emulator, producer: Producer, folder: Path) -> None:
    s3, sqs = emulator.client("s3"), emulator.client("sqs")
    # Asked for by a message of an upstream system; its files are offered to the fleet's bucket.
    producer("pipelines", "apply", str(TOP / "examples/flights/pipeline.toml"))
    queue = sqs.get_queue_url(QueueName=f"{FLEET}-intake")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"version": "1", "pipeline": "flights", "key": "order-1"}))
    wait_for("a run of the message", 60, lambda: next(iter(producer("list")), None))
    shown = producer.ends_well("order-1")
    equal((shown["run"]["steps_committed"], shown["run"]["steps_total"]), (7, 7), "committed steps of flights")
    say("flights, asked for by a message, SUCCEEDED in 7 steps on the stacks' queues, bucket and table")

    # Sources in a bucket that the environment allows.
    s3.create_bucket(Bucket=LAKE)
    data = TOP / "examples/penguins/data/penguins.csv"
    s3.upload_file(str(data), LAKE, "birds/penguins.csv")
    shutil.copy(data, folder / "penguins.csv")
    # One at a time: the intake keeps places.
    (folder / "penguins.toml").write_text(PENGUINS, encoding="utf-8")
    producer("pipelines", "apply", str(folder / "penguins.toml"))
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"version": "1", "pipeline": "penguins", "key": "order-2"}))
    wait_for("a run of the message", 60, lambda: next((of for of in producer("list") if of["run"] == "order-2"), None))
    producer.ends_well("order-2")
    for name, source in (("daily-s3", f"s3://{LAKE}/birds/*.csv"), ("daily-offered", "penguins.csv")):
        (folder / f"{name}.toml").write_text(PREDICT.replace("SOURCE", source), encoding="utf-8")
        producer.ends_well(producer("submit", str(folder / f"{name}.toml"))["run"])
    # Once more: what did not change is found again, and its bytes are checked by who made them.
    again = producer.ends_well(producer("submit", str(folder / "penguins.toml"), "--key", "again")["run"])
    # Not of what looks at the champion, which was none the first time.
    check({"extract", "transform"} <= {step["step"] for step in again["steps"] if step["cached"]}, json.dumps(again["steps"])[:2000])
    producer("models", "promote", "penguins", "order-2", "--reason", "to see whether people may")
    producer("models", "list")
    producer("workers")
    say("penguins and two predictions with its model SUCCEEDED, with sources from a bucket and from files")


def bury_a_letter_in_each(emulator: Emulator, producer: Producer) -> None:
    """What no run can absorb, in each queue: each component buries its own."""
    sqs = emulator.client("sqs")
    urls = [url for url in sqs.list_queues(QueueNamePrefix=f"{FLEET}-")["QueueUrls"] if not url.endswith("-dead")]
    for url in urls:
        sqs.send_message(QueueUrl=url, MessageBody="not a message")
    for url in urls:
        dead = sqs.get_queue_url(QueueName=url.rpartition("/")[2] + "-dead")["QueueUrl"]

        def letter():
            return sqs.receive_message(QueueUrl=dead, VisibilityTimeout=1).get("Messages")

        check("not a message" in json.dumps(wait_for(f"a dead letter in {dead}", 90, letter)), dead)
    listed = producer("dead-letters", "list")
    check(len(listed) >= len(urls), f"`producer dead-letters list` lists {len(listed)} of {len(urls)}")
    say(f"{len(urls)} queues: a message that nobody can read is in each one's dead letters")


def everything_of(emulator: Emulator, names: list[str]) -> dict[str, object]:
    """All that can be told of each stack: parameters, outputs, resources, events, and what the services say of theirs."""
    cloudformation, ecs = emulator.client("cloudformation"), emulator.client("ecs")
    told = {}
    for name in ["foundation", *names]:
        stack = f"{FLEET}-{name}"
        seen = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        of_stack = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        outputs = {of["OutputKey"]: of["OutputValue"] for of in seen.get("Outputs", [])}
        services = [value for key, value in sorted(outputs.items()) if key.startswith("Service")]
        running = ecs.describe_services(cluster=FLEET, services=services)["services"] if services else []
        told[name] = json.dumps(
            [
                seen.get("Parameters"), outputs, seen["StackStatus"], str(seen.get("LastUpdatedTime")),
                [(of["LogicalResourceId"], of["PhysicalResourceId"], str(of["Timestamp"])) for of in of_stack],
                [of["EventId"] for of in events],
                [(of["serviceName"], of["taskDefinition"], of["desiredCount"]) for of in running],
            ],
            sort_keys=True,
        )
    return told


def runs(emulator: Emulator, component: str) -> set[str]:
    """The images of a component's services, as ECS has them."""
    ecs = emulator.client("ecs")
    services = ecs.describe_services(cluster=FLEET, services=[f"{FLEET}-{component}", f"{FLEET}-{component}-large"])["services"]
    definitions = [ecs.describe_task_definition(taskDefinition=of["taskDefinition"]) for of in services]
    return {of["taskDefinition"]["containerDefinitions"][0]["image"] for of in definitions}


def deploy_alone(emulator: Emulator, names: list[str]) -> None:
    """A new image of one component, and back: nothing of the others moves."""
    alone = "train"
    before = everything_of(emulator, names)
    said = emulator.deploy(alone, "--image", image("b"))
    check(image("b") in said and image("a") in said, said)
    after = everything_of(emulator, names)
    check(before[alone] != after[alone], "a deployment that changes nothing shows nothing")
    equal(runs(emulator, alone), {image("b")}, "images of train")
    emulator.deploy(alone, "--rollback")
    equal(runs(emulator, alone), {image("a")}, "images of train after the rollback")
    last = everything_of(emulator, names)
    for other in before.keys() - {alone}:
        equal(after[other], before[other], f"{other}, which was not deployed")
        equal(last[other], before[other], f"{other}, which was not rolled back")
    say(f"{alone} was deployed and rolled back; {len(before) - 1} other stacks: not a resource, an event or a task definition moved")

    # What is not meant is not done.
    text = emulator.environment_file.read_text(encoding="utf-8")
    elsewhere = text.replace(f'account = "{ACCOUNT}"', 'account = "111111111111"')
    emulator.environment_file.write_text(elsewhere, encoding="utf-8")
    emulator.deploy(alone, code=1)
    renamed = text.replace(f'fleet = "{FLEET}"', f'fleet = "{FLEET}-"')
    emulator.environment_file.write_text(renamed, encoding="utf-8")
    emulator.deploy(alone, "--image", image("b"), code=1)
    emulator.environment_file.write_text(text, encoding="utf-8")
    equal(runs(emulator, alone), {image("a")}, "images of train")
    say("credentials of another account are refused, and so is what CloudFormation does not take")


def release_and_watch(emulator: Emulator) -> None:
    """A release by its tag; and one whose alarm rings, which is rolled back."""
    ecr, cloudwatch = emulator.client("ecr"), emulator.client("cloudwatch")
    release = str(TOP / "deploy/bin/release")

    def pushed(tag: str) -> str:
        manifest = json.dumps({"schemaVersion": 2, "config": {"digest": f"sha256:{tag}"}})
        digest = ecr.put_image(repositoryName=FLEET, imageManifest=manifest, imageTag=tag)["image"]["imageId"]["imageDigest"]
        where = ecr.describe_repositories(repositoryNames=[FLEET])["repositories"][0]["repositoryUri"]
        return f"{where}@{digest}"

    good, bad = pushed("good"), pushed("bad")
    emulator.run(release, "evaluate", emulator.environment_file, "good", "0.05")
    equal(runs(emulator, "evaluate"), {good}, "images of evaluate after its release")
    process = subprocess.Popen(
        [release, "evaluate", str(emulator.environment_file), "bad", "5"], env=emulator.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    try:
        watching = iter(process.stdout.readline, "")
        check(any("watching" in line for line in watching), "the release watches no alarms")
        equal(runs(emulator, "evaluate"), {bad}, "images of evaluate while its alarms are watched")
        cloudwatch.set_alarm_state(AlarmName=f"{FLEET}-evaluate-errors", StateValue="ALARM", StateReason="a test")
        said, _ = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    check(f"rings: {FLEET}-evaluate-errors" in said and process.returncode == 1, f"{process.returncode}: {said}")
    equal(runs(emulator, "evaluate"), {good}, "images of evaluate after its alarm rang")
    say("evaluate was released by its tag; the next release rang an alarm and was rolled back")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except Failure as failure:
        sys.exit(f"deploy-test: {failure}")
