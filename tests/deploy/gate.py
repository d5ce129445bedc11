"""Stands between workers and the emulator, which asks nobody for permission, and refuses what the roles' policies do not
allow. Who asks is told from the access key, what from the request; signatures are nobody's business here."""

import collections
import http.client
import json
import re
import threading
import tomllib
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from policies import Policies, Request

OPERATIONS = tomllib.loads((Path(__file__).parent / "operations.toml").read_text(encoding="utf-8"))
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect", "proxy-connection"}


def actions(service: str, operation: str) -> list[str]:
    """What IAM calls an operation of the SDK. One that is not in the list is an error: it would be let through unseen."""
    return OPERATIONS[service][operation]


class Asked:
    """What a request is, as the services read it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes, account: str, region: str) -> None:
        self.account, self.region = account, region
        key = re.search(r"Credential=AKIA([A-Z0-9]+)/", handler.headers.get("Authorization", ""))
        self.component = key[1].lower() if key else ""
        target = handler.headers.get("X-Amz-Target", "")
        self.is_json = bool(target)
        if target.startswith("AmazonSQS."):
            self.service, self.operation = "SQS", target.partition(".")[2]
            told = json.loads(body)
            name = told.get("QueueName") or told.get("QueueUrl", "").rpartition("/")[2]
            resource = f"arn:aws:sqs:{region}:{account}:{name}"
            self.needs = [(action, resource) for action in actions("SQS", self.operation)]
        elif target.startswith("DynamoDB_"):
            self.service, self.operation = "DynamoDB", target.partition(".")[2]
            self.needs = self._of_table(json.loads(body))
        else:
            self.service = "S3"
            self._of_bucket(handler.command, handler.path)

    def _of_table(self, told: dict) -> list[tuple[str, str]]:
        arn = f"arn:aws:dynamodb:{self.region}:{self.account}:table/"
        if self.operation == "TransactWriteItems":
            names = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
            return [
                (f"dynamodb:{names[kind]}", arn + what["TableName"])
                for item in told["TransactItems"]
                for kind, what in item.items()
            ]
        if "RequestItems" in told:
            return [(a, arn + table) for table in told["RequestItems"] for a in actions("DynamoDB", self.operation)]
        index = f"/index/{told['IndexName']}" if "IndexName" in told else ""
        return [(action, arn + told["TableName"] + index) for action in actions("DynamoDB", self.operation)]

    def _of_bucket(self, method: str, path: str) -> None:
        url = urllib.parse.urlsplit(path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        parts = "uploadId" in query
        match method, bool(key):
            case "GET", False if query.get("list-type") == ["2"]:
                self.operation = "ListObjectsV2"
            case "HEAD", False:
                self.operation = "HeadBucket"
            case "GET", True:
                self.operation = "GetObject"
            case "HEAD", True:
                self.operation = "HeadObject"
            case "PUT", True:
                self.operation = "UploadPart" if parts else "PutObject"
            case "POST", True if "uploads" in query:
                self.operation = "CreateMultipartUpload"
            case "POST", True if parts:
                self.operation = "CompleteMultipartUpload"
            case "DELETE", True:
                self.operation = "AbortMultipartUpload" if parts else "DeleteObject"
            case _:
                raise KeyError(f"{method} {path}")
        arn = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
        self.needs = [(action, arn) for action in actions("S3", self.operation)]


class Gate:
    """The proxy, on a free port of loopback."""

    def __init__(self, emulator_port: int, policies: Policies, principals: dict[str, str], account: str, region: str) -> None:
        self.emulator_port, self.policies, self.principals = emulator_port, policies, principals
        self.account, self.region = account, region
        self.lock = threading.Lock()
        self.seen = collections.defaultdict(collections.Counter)
        """For each component: (service, operation) and how often."""
        self.used = collections.defaultdict(set)
        """For each component: (action, the statement that allowed it)."""
        self.refused: list[str] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                gate.answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, *_) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def judge(self, asked: Asked) -> str | None:
        """Why it is refused, if it is."""
        principal = self.principals.get(asked.component)
        reasons = []
        for action, resource in asked.needs:
            why = principal and self.policies.why(Request(principal, action, resource))
            if not why:
                return f"{asked.component or 'nobody'} may not {action} on {resource}"
            reasons.append((action, why))
        with self.lock:
            self.seen[asked.component][asked.service, asked.operation] += 1
            self.used[asked.component].update(reasons)
        return None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = self._body(handler)
        asked = Asked(handler, body, self.account, self.region)
        if refusal := self.judge(asked):
            with self.lock:
                self.refused.append(refusal)
            return self._refuse(handler, asked, refusal)
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator_port, timeout=60)
        try:
            headers = {k: v for k, v in handler.headers.items() if k.lower() not in HOP}
            connection.request(handler.command, handler.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            handler.send_response(answer.status)
            has_length = False
            for name, value in answer.getheaders():
                has_length = has_length or name.lower() == "content-length"
                if name.lower() not in HOP | {"date", "server"}:
                    handler.send_header(name, value)
            if not has_length:
                handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(content)
        except OSError:
            # The worker went away, or the emulator did: a worker sees a connection that ended.
            handler.close_connection = True
        finally:
            connection.close()

    @staticmethod
    def _body(handler: BaseHTTPRequestHandler) -> bytes:
        if handler.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        body = b""
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body

    @staticmethod
    def _refuse(handler: BaseHTTPRequestHandler, asked: Asked, refusal: str) -> None:
        if asked.is_json:
            status, kind = 400, "application/x-amz-json-1.0"
            content = json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException", "message": refusal})
        else:
            status, kind = 403, "application/xml"
            content = f"<Error><Code>AccessDenied</Code><Message>{refusal}</Message></Error>"
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content.encode())))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content.encode())
