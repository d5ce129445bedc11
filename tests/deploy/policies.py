"""Decides as IAM does, for what the fleet's policies use of it: may this role carry out this action on this resource?"""

import re
from dataclasses import dataclass, field


@dataclass
class Request:
    """One action on one resource, by one principal."""

    principal: str
    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def _many(value: object) -> list:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, value: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _holds(operator: str, wanted: list[str], found: str | None) -> bool:
    if found is None:
        return False
    if operator in ("ArnLike", "ArnEquals", "StringLike"):
        return any(_matches(pattern, found) for pattern in wanted)
    if operator == "StringEquals":
        return found in wanted
    if operator == "Bool":
        return found.lower() in [str(value).lower() for value in wanted]
    # To pass over what one does not know would be to allow it.
    raise ValueError(f"a condition that is not understood here: {operator}")


def _conditions_hold(statement: dict, context: dict[str, str]) -> bool:
    return all(
        _holds(operator, _many(wanted), context.get(key))
        for operator, tests in statement.get("Condition", {}).items()
        for key, wanted in tests.items()
    )


def _applies(statement: dict, request: Request, by_principal: bool) -> bool:
    if by_principal:
        principal = statement.get("Principal", {})
        named = ["*"] if principal == "*" else _many(principal.get("AWS", [])) if isinstance(principal, dict) else []
        if not any(name in ("*", request.principal) for name in named):
            return False
    return (
        any(_matches(pattern.lower(), request.action.lower()) for pattern in _many(statement["Action"]))
        and any(_matches(pattern, request.resource) for pattern in _many(statement["Resource"]))
        and _conditions_hold(statement, request.context)
    )


@dataclass
class Policies:
    """A role's own statements, and those that stand at resources, by their ARN."""

    identity: dict[str, list[dict]]
    resources: dict[str, list[dict]]

    def why(self, request: Request) -> str | None:
        """The statement that allows it; none if nothing does, or something forbids it."""
        account = request.principal.split(":")[4]
        request.context = {
            "aws:PrincipalArn": request.principal,
            "aws:PrincipalAccount": account,
            "aws:SecureTransport": "true",
        } | request.context
        own = [
            (of.get("Sid", "?"), of)
            for of in self.identity.get(request.principal, [])
            if _applies(of, request, by_principal=False)
        ]
        at_resource = [
            (f"{of.get('Sid', '?')} at {request.resource.rpartition(':')[2]}", of)
            for of in self.resources.get(request.resource, [])
            if _applies(of, request, by_principal=True)
        ]
        found = own + at_resource
        if any(of["Effect"] == "Deny" for _, of in found):
            return None
        # Within one account either side is enough.
        return next((sid for sid, of in found if of["Effect"] == "Allow"), None)

    def granted(self, principal: str) -> set[str]:
        """All actions that the role's own statements allow on something."""
        own = self.identity.get(principal, [])
        return {action for of in own if of["Effect"] == "Allow" for action in _many(of["Action"])}
