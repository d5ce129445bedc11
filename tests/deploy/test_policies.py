"""The evaluator that the gate leans on: what it allows, what it refuses, and what it does not understand."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from policies import Policies, Request  # noqa: E402

ROLE = "arn:aws:iam::111122223333:role/flt/flt-train-task"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:flt-deploy"


def allow(action: object, resource: object, **more: object) -> dict:
    return {"Sid": "s", "Effect": "Allow", "Action": action, "Resource": resource} | more


def at_queue(**condition: object) -> dict:
    return allow("sqs:SendMessage", QUEUE, Principal={"AWS": "*"}, Condition=condition)


class Evaluation(unittest.TestCase):
    def why(self, own: list, at_resource: list, action: str, resource: str, principal: str = ROLE) -> str | None:
        return Policies({ROLE: own}, {QUEUE: at_resource}).why(Request(principal, action, resource))

    def test_actions_and_resources(self) -> None:
        own = [allow(["s3:GetObject"], ["arn:aws:s3:::b/r/*"])]
        self.assertTrue(self.why(own, [], "s3:GetObject", "arn:aws:s3:::b/r/x/y"))
        self.assertTrue(self.why(own, [], "s3:getobject", "arn:aws:s3:::b/r/x"), "actions know no case")
        for action, resource in (
            ("s3:PutObject", "arn:aws:s3:::b/r/x"),
            ("s3:GetObject", "arn:aws:s3:::b/rx"),
            ("s3:GetObject", "arn:aws:s3:::b2/r/x"),
            ("s3:GetObject", "arn:aws:s3:::B/r/x"),
        ):
            self.assertIsNone(self.why(own, [], action, resource), (action, resource))
        # A point is a point.
        self.assertIsNone(self.why([allow("s3:GetObject", "arn:aws:s3:::a.b/*")], [], "s3:GetObject", "arn:aws:s3:::axb/k"))

    def test_either_side_is_enough_and_a_denial_wins(self) -> None:
        named = at_queue(ArnLike={"aws:PrincipalArn": "arn:aws:iam::111122223333:role/flt/*-task"})
        self.assertTrue(self.why([], [named], "sqs:SendMessage", QUEUE))
        self.assertIsNone(self.why([], [named], "sqs:ReceiveMessage", QUEUE))
        denied = named | {"Effect": "Deny"}
        self.assertIsNone(self.why([allow("sqs:*", "*")], [denied], "sqs:SendMessage", QUEUE))

    def test_conditions(self) -> None:
        other = "arn:aws:iam::111122223333:role/flt-dev/flt-dev-train-task"
        named = at_queue(ArnLike={"aws:PrincipalArn": "arn:aws:iam::111122223333:role/flt/*-task"})
        self.assertIsNone(self.why([], [named], "sqs:SendMessage", QUEUE, other), "a fleet whose name is longer")
        account = at_queue(StringEquals={"aws:PrincipalAccount": "999999999999"})
        self.assertIsNone(self.why([], [account], "sqs:SendMessage", QUEUE))
        # All of them must hold.
        both = at_queue(
            ArnLike={"aws:PrincipalArn": "*"}, StringEquals={"aws:PrincipalAccount": ["111122223333"], "aws:SourceArn": "x"}
        )
        self.assertIsNone(self.why([], [both], "sqs:SendMessage", QUEUE), "what the request does not say is not so")
        plain = {"Sid": "d", "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE}
        unencrypted = plain | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        self.assertTrue(self.why([allow("sqs:SendMessage", QUEUE)], [unencrypted], "sqs:SendMessage", QUEUE))

    def test_what_it_does_not_understand_is_an_error(self) -> None:
        with self.assertRaises(ValueError):
            self.why([], [at_queue(IpAddress={"aws:PrincipalArn": "10.0.0.0/8"})], "sqs:SendMessage", QUEUE)


if __name__ == "__main__":
    unittest.main()
