# SPDX-License-Identifier: Apache-2.0
"""deploy/template.yml as CloudFormation would make it, as far as the tests need it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PATH = ROOT / "deploy" / "template.yml"
MANAGEMENT = "123456789012"
#: What the functions give for attributes, pseudo parameters and parameters without a default.
KNOWN = {
    "AWS::AccountId": MANAGEMENT,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "iam-users",
    "AWS::NoValue": None,
    "Image": f"{MANAGEMENT}.dkr.ecr.us-east-1.amazonaws.com/c7n/iam-users@sha256:{'0' * 64}",
    "Subnets": ["subnet-1", "subnet-2"],
    "VpcId": "vpc-1",
    "Bucket": "outputs",
    "Bucket.Arn": "arn:aws:s3:::outputs",
    "StateMachine": f"arn:aws:states:us-east-1:{MANAGEMENT}:stateMachine:iam-users",
}


class _Loader(yaml.SafeLoader):
    """Reads ``!Name x`` as ``{"Name": x}``."""


def _function(loader: _Loader, name: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    raise ValueError(name)


_Loader.add_multi_constructor("!", _function)


def read(path: Path) -> Any:
    """A template, with its functions not evaluated."""
    return yaml.load(path.read_text(), _Loader)


class Template:
    """``given``: of its parameters."""

    def __init__(self, **given: Any) -> None:
        self.data = read(PATH)
        defaults = {name: each.get("Default") for name, each in self.data["Parameters"].items()}
        self.known: dict[str, Any] = {**defaults, **KNOWN, **given}

    def properties(self, resource: str) -> Any:
        """The properties of a resource, with all functions evaluated."""
        return self.value(self.data["Resources"][resource]["Properties"])

    def value(self, data: Any) -> Any:
        """``data`` with all functions evaluated."""
        if isinstance(data, list):
            return [found for each in data if (found := self.value(each)) is not None]
        if not isinstance(data, dict) or not data:
            return data
        ((name, argument), *others) = data.items()
        evaluate = getattr(self, f"_{name.lower()}", None) if not others else None
        if evaluate:
            return evaluate(argument)
        return {key: found for key, each in data.items() if (found := self.value(each)) is not None}

    def _ref(self, name: str) -> Any:
        return self.known.get(name, f"ref-{name}")

    def _getatt(self, name: str) -> Any:
        return self.known.get(name, f"arn:aws:{name}")

    def _sub(self, argument: Any) -> str:
        text, further = argument if isinstance(argument, list) else (argument, {})
        known = self.value(further)

        def found(match: re.Match[str]) -> str:
            name = match[1]
            return str(known[name] if name in known else (self._getatt if "." in name else self._ref)(name))

        return re.sub(r"\$\{([A-Za-z:.]+)\}", found, text)

    def _join(self, argument: list[Any]) -> str:
        return str(argument[0]).join(self.value(argument[1]))

    def _split(self, argument: list[Any]) -> list[str]:
        return str(self.value(argument[1])).split(argument[0])

    def _select(self, argument: list[Any]) -> Any:
        return self.value(argument[1])[int(argument[0])]

    def _if(self, argument: list[Any]) -> Any:
        condition, then, otherwise = argument
        return self.value(then if self._holds(self.data["Conditions"][condition]) else otherwise)

    def _holds(self, condition: Any) -> bool:
        ((name, (argument, *others)),) = condition.items()
        if name == "And":
            return all(map(self._holds, (argument, *others)))
        if name == "Not":
            return not self._holds(argument)
        return bool(self.value(argument) == self.value(others[0]))


def definition(**given: str) -> dict[str, Any]:
    """That of the state machine. moto's interpreter takes a percentage as a fraction only."""
    properties = Template(**{"ToleratedFailurePercentage": "100.0", **given}).properties("StateMachine")
    found: dict[str, Any] = json.loads(properties["DefinitionString"])
    return found
