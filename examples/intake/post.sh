#!/usr/bin/env bash
# Asks for a run:  post.sh FLEET PIPELINE KEY
#
# Needs the aws CLI; credentials, region and endpoint as it takes them.
set -euo pipefail

fleet=${1:?which fleet} pipeline=${2:?which pipeline} key=${3:?under which key}

# Version 1 of the CLI takes no endpoint for SQS from its environment.
endpoint=(${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"})

queue=$(aws "${endpoint[@]}" sqs get-queue-url --queue-name "$fleet-intake" --query QueueUrl --output text)
aws "${endpoint[@]}" sqs send-message --queue-url "$queue" >/dev/null \
    --message-body "{\"version\": \"1\", \"pipeline\": \"$pipeline\", \"key\": \"$key\"}"
