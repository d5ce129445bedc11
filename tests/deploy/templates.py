"""The templates as CloudFormation sees them, with loops unrolled and conditions decided."""

import json
from pathlib import Path

from cfnlint.decode import decode
from cfnlint.template import Template
from cfnlint.template.transforms._language_extensions import language_extension


def unrolled(path: Path) -> dict:
    """The template without its loops."""
    template, problems = decode(str(path))
    if problems:
        raise ValueError(f"{path}: {problems[0].message}")
    whole = Template(str(path), template, ["us-east-1"])
    if "Transform" in template:
        problems, template = language_extension(whole)
        if problems:
            raise ValueError(f"{path}: {problems[0].message}")
    # Without what the parser remembers of places in the file.
    return json.loads(json.dumps(template))


def decided(node: object, holds) -> object:
    """The same with each condition decided by `holds`, and without what is then not there."""
    if isinstance(node, list):
        kept = (decided(item, holds) for item in node)
        return [item for item in kept if item != {"Ref": "AWS::NoValue"}]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Fn::If"}:
        condition, yes, no = node["Fn::If"]
        return decided(yes if holds(condition) else no, holds)
    kept = {key: decided(value, holds) for key, value in node.items()}
    return {key: value for key, value in kept.items() if value != {"Ref": "AWS::NoValue"}}
