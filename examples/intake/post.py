#!/usr/bin/env python3
"""Asks for a run:  post.py FLEET PIPELINE KEY [PARAMETER=VALUE ...]

Needs boto3; credentials, region and endpoint as every AWS tool takes them.
"""

import json
import sys

import boto3


def main(fleet: str, pipeline: str, key: str, *settings: str) -> None:
    request = {"version": "1", "pipeline": pipeline, "key": key}
    if settings:
        # Values of numbers and switches are written as such: rounds=100, quick=true.
        request["set"] = {name: value(text) for name, text in (setting.split("=", 1) for setting in settings)}
    sqs = boto3.client("sqs")
    queue = sqs.get_queue_url(QueueName=f"{fleet}-intake")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(request))


def value(text: str) -> object:
    try:
        read = json.loads(text)
    except ValueError:
        return text
    return read if isinstance(read, (bool, int, float)) else text


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
