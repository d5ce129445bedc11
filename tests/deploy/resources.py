"""What each service says of what the stacks made: that a stack says that it is complete proves little."""

import json

from fleet import ACCOUNT, REGION, Emulator, check, equal, settings
from templates import unrolled

FOUNDATION = unrolled(settings.DEPLOY / "foundation.yaml")["Resources"]
SETUP = "byhand"
"""A fleet that `producer setup` makes, to compare with."""
INTERFACES = {"sqs", "ecr.api", "ecr.dkr", "logs", "kms", "sts", "monitoring", "ecs", "ecs-agent", "ecs-telemetry"}
GATEWAYS = {"s3", "dynamodb"}


def assert_all(emulator: Emulator, fleet: str, producer) -> None:
    producer("setup", "--components", str(settings.DEPLOY / "components.toml"), backend=f"aws:{SETUP}@{ACCOUNT}")
    key = _key(emulator, fleet)
    _table(emulator, fleet)
    _bucket(emulator, fleet, key)
    _queues(emulator, fleet, key)
    _network(emulator)
    _rest_of_foundation(emulator, fleet, key)
    for name, component in settings.components().items():
        _services(emulator, fleet, name, component)
        _roles(emulator, fleet, name)
    _alarms(emulator, fleet)


def _key(emulator: Emulator, fleet: str) -> str:
    kms = emulator.client("kms")
    key = kms.describe_key(KeyId=f"alias/{fleet}")["KeyMetadata"]
    check(kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"], "the key is not rotated")
    return key["Arn"]


def _shape(table: dict) -> dict:
    return {
        "keys": table["KeySchema"],
        "attributes": sorted((of["AttributeName"], of["AttributeType"]) for of in table["AttributeDefinitions"]),
        "billing": table["BillingModeSummary"]["BillingMode"],
        "indexes": {
            of["IndexName"]: (
                of["KeySchema"], of["Projection"]["ProjectionType"], sorted(of["Projection"].get("NonKeyAttributes", []))
            )
            for of in table["GlobalSecondaryIndexes"]
        },
    }


def _table(emulator: Emulator, fleet: str) -> None:
    dynamodb = emulator.client("dynamodb")
    ours, theirs = (_shape(dynamodb.describe_table(TableName=name)["Table"]) for name in (fleet, SETUP))
    equal(ours, theirs, "the stack's table, beside that of `producer setup`")
    equal(set(ours["indexes"]), {"open", "listed"}, "indexes")
    forgets = dynamodb.describe_time_to_live(TableName=SETUP)["TimeToLiveDescription"]["AttributeName"]
    equal(FOUNDATION["Table"]["Properties"]["TimeToLiveSpecification"]["AttributeName"], forgets, "when items expire")


def _bucket(emulator: Emulator, fleet: str, key: str) -> None:
    s3 = emulator.client("s3")
    name, by_hand = (f"{of}-{ACCOUNT}-{REGION}" for of in (fleet, SETUP))
    for ask, part in (
        (s3.get_public_access_block, "PublicAccessBlockConfiguration"),
    ):
        equal(ask(Bucket=name)[part], ask(Bucket=by_hand)[part], f"{part} of the bucket, beside `producer setup`")
    # What the emulator does not take from a template is compared with the template itself.
    rules = FOUNDATION["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    for rule in s3.get_bucket_lifecycle_configuration(Bucket=by_hand)["Rules"]:
        same = [of for of in rules if of["Id"] == rule["ID"]]
        check(same, f"the bucket has no rule {rule['ID']}, as `producer setup` makes it: {rules}")
        equal(same[0]["AbortIncompleteMultipartUpload"], rule["AbortIncompleteMultipartUpload"], rule["ID"])
    equal(s3.get_bucket_versioning(Bucket=name)["Status"], "Enabled", "the bucket's versions")
    policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
    equal([of["Effect"] for of in policy["Statement"]], ["Deny"], "the bucket's policy")


def _queues(emulator: Emulator, fleet: str, key: str) -> None:
    sqs = emulator.client("sqs")

    def found(prefix: str) -> dict[str, dict]:
        urls = sqs.list_queues(QueueNamePrefix=f"{prefix}-")["QueueUrls"]
        named = {url.rpartition("/")[2].removeprefix(f"{prefix}-"): url for url in urls}
        return {n: sqs.get_queue_attributes(QueueUrl=u, AttributeNames=["All"])["Attributes"] for n, u in named.items()}

    ours, theirs = found(fleet), found(SETUP)
    equal(set(ours), set(theirs), "queues, beside `producer setup`")
    for name, queue in ours.items():
        for attribute in ("MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout"):
            equal(queue[attribute], theirs[name][attribute], f"{attribute} of {name}, beside `producer setup`")
        equal(queue["KmsMasterKeyId"], key, f"the key of {name}")
        if name.endswith("-dead"):
            allowed = json.loads(queue["RedriveAllowPolicy"])["sourceQueueArns"]
            equal(allowed, [ours[name.removesuffix("-dead")]["QueueArn"]], f"whose dead letters {name} takes")
            continue
        redrive, other = json.loads(queue["RedrivePolicy"]), json.loads(theirs[name]["RedrivePolicy"])
        equal(redrive["deadLetterTargetArn"], ours[f"{name}-dead"]["QueueArn"], f"dead letters of {name}")
        equal(int(redrive["maxReceiveCount"]), int(other["maxReceiveCount"]), f"receives of {name}, beside `producer setup`")
        kept = int(ours[f"{name}-dead"]["MessageRetentionPeriod"])
        check(kept > int(queue["MessageRetentionPeriod"]), f"{name}: dead letters are not kept longer")


def _network(emulator: Emulator) -> None:
    ec2 = emulator.client("ec2")
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    for kind, wanted in (("Interface", INTERFACES), ("Gateway", GATEWAYS)):
        names = {of["ServiceName"].removeprefix(f"com.amazonaws.{REGION}.") for of in endpoints if of["VpcEndpointType"] == kind}
        equal(names, wanted, f"endpoints of kind {kind}")
    vpc = endpoints[0]["VpcId"]
    ours = [{"Name": "vpc-id", "Values": [vpc]}]
    equal(ec2.describe_nat_gateways(Filter=ours)["NatGateways"], [], "NAT gateways")
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    equal(ec2.describe_internet_gateways(Filters=attached)["InternetGateways"], [], "internet gateways")
    subnets = ec2.describe_subnets(Filters=ours)["Subnets"]
    equal(len({of["AvailabilityZone"] for of in subnets}), 2, "zones")
    for group in ec2.describe_security_groups(Filters=ours)["SecurityGroups"]:
        if group["GroupName"] != "default":
            open_to = [r["CidrIp"] for p in group["IpPermissions"] for r in p.get("IpRanges", [])]
            check("0.0.0.0/0" not in open_to, f"{group['GroupName']} lets everybody in")


def _rest_of_foundation(emulator: Emulator, fleet: str, key: str) -> None:
    cluster = emulator.client("ecs").describe_clusters(clusters=[fleet], include=["SETTINGS"])["clusters"][0]
    check({"name": "containerInsights", "value": "enabled"} in cluster["settings"], cluster["settings"])
    equal(set(cluster["capacityProviders"]), {"FARGATE", "FARGATE_SPOT"}, "capacity providers")
    repository = emulator.client("ecr").describe_repositories(repositoryNames=[fleet])["repositories"][0]
    equal(repository["imageTagMutability"], "IMMUTABLE", "tags of images")
    check(repository["imageScanningConfiguration"]["scanOnPush"], "images are not scanned")
    rule = emulator.client("events").describe_rule(Name=f"{fleet}-deployment-trouble")
    check("SERVICE_DEPLOYMENT_FAILED" in rule["EventPattern"], rule)


def _services(emulator: Emulator, fleet: str, name: str, component: dict) -> None:
    ecs, logs = emulator.client("ecs"), emulator.client("logs")
    group = logs.describe_log_groups(logGroupNamePrefix=f"/fleetline/{fleet}/{name}")["logGroups"][0]
    check(group["retentionInDays"] == 30 and group.get("kmsKeyId"), group)
    for of, memory in component["classes"].items():
        service_name = f"{fleet}-{name}" + ("" if of == "standard" else f"-{of}")
        service = ecs.describe_services(cluster=fleet, services=[service_name])["services"][0]
        equal(service["status"], "ACTIVE", service_name)
        deployment = service["deploymentConfiguration"]
        equal(deployment["deploymentCircuitBreaker"], {"enable": True, "rollback": True}, f"circuit breaker of {service_name}")
        equal(deployment["minimumHealthyPercent"], 100, service_name)
        weights = {s["capacityProvider"]: int(s["weight"]) for s in service["capacityProviderStrategy"]}
        equal(weights["FARGATE_SPOT"], component["fargate"]["spot_percent"], f"share of Spot of {service_name}")
        equal(sum(weights.values()), 100, f"shares of {service_name}")
        network = service["networkConfiguration"]["awsvpcConfiguration"]
        equal((network["assignPublicIp"], len(network["subnets"])), ("DISABLED", 2), f"network of {service_name}")
        task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        equal(int(task["memory"]), int(memory.removesuffix("GiB")) * 1024, f"memory of {service_name}")
        equal(int(task["cpu"]), round(component["fargate"]["vcpus"][of] * 1024), f"processors of {service_name}")
        container = task["containerDefinitions"][0]
        equal(container["command"], ["intake"] if name == "intake" else ["pool", "--stages", name, "--classes", of], service_name)
        equal((container["user"], container["readonlyRootFilesystem"]), ("65532:65532", True), service_name)
        equal(int(container["stopTimeout"]), 120, f"time to end of {service_name}")
        equal(container["logConfiguration"]["options"]["awslogs-group"], group["logGroupName"], service_name)


def _roles(emulator: Emulator, fleet: str, name: str) -> None:
    iam = emulator.client("iam")
    for role_name in (f"{fleet}-{name}-task", f"{fleet}-{name}-execution"):
        role = iam.get_role(RoleName=role_name)["Role"]
        equal(role["Path"], f"/{fleet}/", f"path of {role_name}")
        trust = role["AssumeRolePolicyDocument"]
        trust = json.loads(trust) if isinstance(trust, str) else trust
        equal(trust["Statement"][0]["Principal"], {"Service": "ecs-tasks.amazonaws.com"}, f"who takes {role_name}")
        equal(iam.list_attached_role_policies(RoleName=role_name)["AttachedPolicies"], [], f"managed policies of {role_name}")


def _alarms(emulator: Emulator, fleet: str) -> None:
    pages = emulator.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{fleet}-")
    alarms = {of["AlarmName"]: of for page in pages for of in page["MetricAlarms"]}
    wanted = {f"{fleet}-table-throttled", f"{fleet}-table-errors"}
    for name, component in settings.components().items():
        wanted.add(f"{fleet}-{name}-errors")
        for of in component["classes"]:
            queue = f"{fleet}-{name}" + ("" if of == "standard" else f"-{of}")
            wanted |= {f"{queue}-message-age", f"{queue}-dead-letters"}
    equal(set(alarms), wanted, "alarms that the emulator can have")
    for alarm in alarms.values():
        equal(alarm["AlarmActions"], [f"arn:aws:sns:{REGION}:{ACCOUNT}:{fleet}-alarms"], f"whom {alarm['AlarmName']} tells")
