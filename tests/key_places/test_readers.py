# SPDX-License-Identifier: Apache-2.0
"""Which texts are read of each service, by what it answers, and which keys a text names."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from c7n_iamusers.key_places.key_ids import KeyPlace, Text, Unread, places_in
from c7n_iamusers.key_places.readers import READERS

pytestmark = [pytest.mark.pure, pytest.mark.whole]

KEY, OTHER = "AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"


class Client:
    """Answers each operation with its pages, or with what a function makes of the parameters."""

    def __init__(self, **answers: Any) -> None:
        self.answers, self.asked = answers, list[tuple[str, dict[str, Any]]]()

    def _pages(self, operation: str, parameters: dict[str, Any]) -> list[Any]:
        self.asked.append((operation, parameters))
        found = self.answers.get(operation, [{}])
        return list(found(**parameters)) if callable(found) else list(found)

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **parameters: self._pages(operation, parameters))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **parameters: self._pages(operation, parameters)[0]


def read(service: str, decrypt: bool = False, **answers: Any) -> list[tuple[Any, ...]]:
    """The texts as (resource, where, value, name), and what was not read as (resource, why)."""
    found = READERS[service].read({service: Client(**answers)}.__getitem__, decrypt)
    return [
        (each.resource, each.where, each.value, each.name)
        if isinstance(each, Text)
        else (each.resource, each.why)
        for each in found
    ]


def test_functions() -> None:
    pages = [
        {"Functions": [{"FunctionArn": "f1", "Environment": {"Variables": {"A": KEY, "B": None}}}]},
        {"Functions": None},
        {
            "Functions": [
                {"FunctionArn": "f2", "Description": "for x"},
                {"FunctionArn": "f3", "Environment": {"Error": {"ErrorCode": "Denied"}}},
            ]
        },
    ]
    assert read("lambda", list_functions=pages) == [
        ("f1", "environment variable A", KEY, "A"),
        ("f1", "environment variable B", "", "B"),
        ("f2", "description", "for x", ""),
        ("f3", "its environment: Denied"),
    ]


def test_projects() -> None:
    names = [f"p{number}" for number in range(101)]

    def projects(names: list[str]) -> list[Any]:
        if len(names) > 1:
            return [{"projects": [], "projectsNotFound": ["p7"] if len(names) == 100 else ["too many"]}]
        variables = [
            {"name": "A", "value": KEY},
            {"name": "B", "value": "b", "type": "PLAINTEXT"},
            {"name": "C", "value": "/path", "type": "PARAMETER_STORE"},
        ]
        whole = {
            "arn": names[0],
            "environment": {"environmentVariables": variables},
            "source": {"buildspec": "echo"},
            "description": "for x",
            "tags": [{"key": "k", "value": "v"}, {"key": "empty"}],
        }
        return [{"projects": [whole, {"arn": "bare"}]}]

    assert read("codebuild", list_projects=[{"projects": names}], batch_get_projects=projects) == [
        ("p7", "it was not found"),
        ("p100", "environment variable A", KEY, "A"),
        ("p100", "environment variable B", "b", "B"),
        ("p100", "description", "for x", ""),
        ("p100", "tag k", "k v", "k"),
        ("p100", "tag empty", "empty ", "empty"),
        ("p100", "buildspec", "echo", ""),
    ]


def test_stacks() -> None:
    stack = {
        "StackId": "s",
        "Description": "for x",
        "Tags": [{"Key": "k", "Value": "v"}],
        "Parameters": [{"ParameterKey": "A", "ParameterValue": KEY}],
        "Outputs": [{"OutputKey": "B", "OutputValue": None, "Description": "for y"}],
    }
    assert read("cloudformation", describe_stacks=[{"Stacks": [stack, {"StackId": "bare"}]}]) == [
        ("s", "description", "for x", ""),
        ("s", "tag k", "k v", "k"),
        ("s", "parameter A", KEY, "A"),
        ("s", "output B", "", "B"),
        ("s", "output B: description", "for y", ""),
    ]


@pytest.mark.parametrize("decrypt", [True, False])
def test_parameters(decrypt: bool) -> None:
    plain = [{"Name": f"/p/{number}", "Type": "String"} for number in range(10)]
    listed = [{**plain[0], "Description": "for x"}, *plain[1:], {"Name": "/p/SEALED", "Type": "SecureString"}]

    def values(Names: list[str], WithDecryption: bool) -> list[Any]:
        assert WithDecryption is decrypt
        assert len(Names) <= 10
        found = [{"Name": each, "Value": KEY, "ARN": f"arn:{each}"} for each in Names if each != "/p/9"]
        return [{"Parameters": found, "InvalidParameters": [each for each in Names if each == "/p/9"]}]

    found = read("ssm", decrypt, describe_parameters=[{"Parameters": listed}], get_parameters=values)
    assert found == [
        ("/p/0", "description", "for x", ""),
        ("/p/9", "its value: not found"),
        *((f"arn:/p/{number}", "value", KEY, str(number)) for number in range(9)),
        ("arn:/p/SEALED", "value", KEY, "SEALED")
        if decrypt
        else ("", "the values of 1 SecureString parameters: give --decrypt"),
    ]


def test_a_parameter_without_an_arn() -> None:
    one = [{"Parameters": [{"Name": "A"}]}]
    assert read("ssm", describe_parameters=one, get_parameters=one) == [("A", "value", "", "A")]


def packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


ZIPPED = gzip.compress(KEY.encode())
CUT = "its user data: not all of it can be unpacked"


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        pytest.param(packed(KEY.encode()), [("user data", KEY, "")], id="plain"),
        pytest.param(
            f"{packed(KEY.encode())[:4]}\n{packed(KEY.encode())[4:]}", [("user data", KEY, "")], id="in-lines"
        ),
        pytest.param(packed(b"\xff"), [("user data", "\xff", "")], id="no-utf-8"),
        pytest.param(packed(ZIPPED), [("user data", KEY, "")], id="packed"),
        pytest.param(packed(ZIPPED + b"more"), [(CUT,), ("user data", KEY, "")], id="more-after-it"),
        pytest.param(packed(ZIPPED[:-4]), [(CUT,), ("user data", KEY, "")], id="cut-off"),
        pytest.param(
            packed(gzip.compress(b"x" * (1024 * 1024 + 1))),
            [(CUT,), ("user data", "x" * 1024 * 1024, "")],
            id="unpacked-too-large",
        ),
        pytest.param(
            packed(gzip.compress(b"x" * 1024 * 1024)),
            [("user data", "x" * 1024 * 1024, "")],
            id="as-large-as-may-be",
        ),
        pytest.param("abc", [("its user data: Incorrect padding",)], id="no-base64"),
        pytest.param(None, [], id="none"),
    ],
)
def test_user_data(data: str | None, texts: list[tuple[str, ...]]) -> None:
    instances = [
        {"InstanceId": "i-1", "State": {"Name": "running"}, "Tags": [{"Key": "k", "Value": "v"}]},
        {"InstanceId": "i-2", "State": {"Name": "terminated"}},
    ]
    found = read(
        "ec2",
        describe_instances=[{"Reservations": [{"Instances": [*instances, {"InstanceId": "i-3"}]}]}],
        describe_instance_attribute=lambda InstanceId, Attribute: [
            {"UserData": {"Value": data}} if InstanceId == "i-1" else {}
        ],
    )
    assert found == [("i-1", *each) for each in [("tag k", "k v", "k"), *texts]]


def test_launch_templates() -> None:
    versions = [
        {"VersionNumber": number, "LaunchTemplateData": {"UserData": packed(KEY.encode())}}
        for number in (3, 3, 1)
    ]
    found = read(
        "ec2",
        describe_launch_templates=[{"LaunchTemplates": [{"LaunchTemplateId": "lt"}]}],
        describe_launch_template_versions=[{"LaunchTemplateVersions": [*versions, {"VersionNumber": 2}]}],
    )
    assert found == [(f"lt version {number}", "user data", KEY, "") for number in (3, 1)]


def test_task_definitions() -> None:
    services, tasks = [f"s{number}" for number in range(11)], [f"t{number}" for number in range(101)]

    def described_services(cluster: str, services: list[str]) -> list[Any]:
        assert (cluster, len(services) <= 10) == ("c", True)
        return [{"services": [{"taskDefinition": "d1"}, {}] if services == ["s10"] else []}]

    def described_tasks(cluster: str, tasks: list[str]) -> list[Any]:
        assert (cluster, len(tasks) <= 100) == ("c", True)
        return [{"tasks": [{"taskDefinitionArn": "d2"}] if tasks == ["t100"] else []}]

    container = {
        "name": "web",
        "environment": [{"name": "A", "value": KEY}],
        "command": ["run", "--fast"],
        "entryPoint": ["sh"],
        "dockerLabels": {},
    }

    def definition(taskDefinition: str) -> list[Any]:
        return [
            {"taskDefinition": {"containerDefinitions": [container, {}] if taskDefinition == "d1" else None}}
        ]

    found = read(
        "ecs",
        list_clusters=[{"clusterArns": ["c"]}],
        list_services=lambda cluster: [{"serviceArns": services if cluster == "c" else []}],
        describe_services=described_services,
        list_tasks=lambda cluster: [{"taskArns": tasks if cluster == "c" else []}],
        describe_tasks=described_tasks,
        describe_task_definition=definition,
    )
    assert found == [
        ("d1", "container web: environment variable A", KEY, "A"),
        ("d1", "container web: command", '["run", "--fast"]', ""),
        ("d1", "container web: entryPoint", '["sh"]', ""),
    ]


SECRETS = [
    {
        "SecretList": [
            {"ARN": "a1", "Name": "one", "Description": "for x", "Tags": [{"Key": "k", "Value": "v"}]}
        ]
    }
]
SAID = [("a1", "name", "one", ""), ("a1", "description", "for x", ""), ("a1", "tag k", "k v", "k")]


@pytest.mark.parametrize(
    ("secret", "texts"),
    [
        pytest.param({"SecretString": KEY}, [(KEY, "")], id="text"),
        pytest.param({"SecretString": ""}, [("", "")], id="empty"),
        pytest.param({"SecretBinary": b"\xff"}, [("\xff", "")], id="binary"),
        pytest.param({}, [("", "")], id="none"),
        pytest.param(
            {"SecretString": '{"id": "x", "number": 1}'},
            [('{"id": "x", "number": 1}', ""), ("x", "id")],
            id="members",
        ),
        pytest.param({"SecretString": '["x"]'}, [('["x"]', "")], id="a-list"),
    ],
)
def test_secrets(secret: dict[str, Any], texts: list[tuple[str, str]]) -> None:
    values = [
        {"SecretValues": [{"ARN": "a1", **secret}], "Errors": [{"SecretId": "a2", "ErrorCode": "Denied"}]}
    ]
    assert read("secretsmanager", True, list_secrets=SECRETS, batch_get_secret_value=values) == [
        *SAID,
        *(("a1", "value", value, name) for value, name in texts),
        ("a2", "its value: Denied"),
    ]


def test_secrets_without_their_values() -> None:
    told = ("", "the values of 1 secrets: give --decrypt")
    assert read("secretsmanager", list_secrets=SECRETS) == [*SAID, told]
    assert read("secretsmanager", list_secrets=[{"SecretList": []}]) == []
    bare = [{"SecretList": [{"ARN": "a1", "Name": "one"}]}]
    assert read("secretsmanager", list_secrets=bare) == [
        ("a1", "name", "one", ""),
        told,
    ]


@pytest.mark.parametrize(
    ("tokens", "pages"),
    [
        pytest.param([None], 1, id="one"),
        pytest.param(["t1", "t2", None], 3, id="three"),
        pytest.param(["t1", "t1", "t1"], 2, id="the-same-page-again"),
    ],
)
def test_secrets_by_pages(tokens: list[str | None], pages: int) -> None:
    answers = iter(tokens)
    asked = list[tuple[int, str | None]]()

    def values(SecretIdList: list[str], NextToken: str | None = None) -> list[Any]:
        asked.append((len(SecretIdList), NextToken))
        return [{"NextToken": next(answers)}] if len(SecretIdList) == 20 else [{}]

    listed = [{"SecretList": [{"ARN": f"a{number}", "Name": "n"} for number in range(21)]}]
    read("secretsmanager", True, list_secrets=listed, batch_get_secret_value=values)
    assert asked == [(20, each) for each in [None, *tokens][:pages]] + [(1, None)]


@pytest.mark.parametrize(
    ("value", "name", "asked", "found"),
    [
        pytest.param(f"{KEY} {OTHER} {KEY}", "", None, [(KEY, False), (OTHER, False)], id="all"),
        pytest.param(f"{KEY} {OTHER}", "", {KEY}, [(KEY, False)], id="asked-for"),
        pytest.param(OTHER, "aws_access_key_id", {KEY}, [(OTHER, True)], id="what-the-sdk-takes"),
        pytest.param(KEY, "AWS_ACCESS_KEY_ID", {KEY}, [(KEY, False)], id="asked-for-and-taken"),
        pytest.param(OTHER, "ID", {KEY}, [], id="another-variable"),
        pytest.param(f"x{KEY} {KEY}x", "", None, [], id="within-a-word"),
        pytest.param(rf"a\n{KEY}%3d{OTHER}", "", None, [(KEY, False), (OTHER, False)], id="after-an-escape"),
        pytest.param("ASIAIOSFODNN7EXAMPLE", "", None, [], id="temporary"),
    ],
)
def test_which_keys_a_text_names(
    value: str, name: str, asked: set[str] | None, found: list[tuple[str, bool]]
) -> None:
    text = Text("r", "w", value, name)
    assert [*places_in(text, asked)] == [KeyPlace("r", "w", key, other) for key, other in found]


def test_no_text_shows_what_it_holds() -> None:
    assert "secret" not in repr(Text("r", "w", "secret"))
    assert Unread("why").resource == ""
