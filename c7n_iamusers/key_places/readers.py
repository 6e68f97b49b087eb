# SPDX-License-Identifier: Apache-2.0
"""Reads the texts in the configuration of an account's services in which access keys are found to stand.

Each service is a row of READERS. Clients are to retry by themselves: nothing here changes anything. Sources: the
operations of each service's API reference, and their pages.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from c7n_iamusers.key_places.key_ids import Text, Unread

#: Makes a client of a service in the account and Region that is read.
Clients = Callable[[str], Any]
#: Unpacked user data is cut off there. As it lies there it has 16 KB at most.
_LARGEST_USER_DATA = 1024 * 1024


@dataclass(frozen=True)
class Reader:
    """``title``: what is read, for people. ``permissions``: IAM actions. ``read(clients, decrypt)`` raises ClientError
    and BotoCoreError where the service does not answer. ``decrypts``: IAM actions for secrets, if they are read.
    """

    title: str
    permissions: tuple[str, ...]
    read: Callable[[Clients, bool], Iterator[Text | Unread]]
    decrypts: tuple[str, ...] = ()


def _functions(clients: Clients, _: bool) -> Iterator[Text | Unread]:
    for function in _items(clients("lambda"), "list_functions", "Functions"):
        environment = function.get("Environment") or {}
        if error := environment.get("Error"):
            yield Unread(f"its environment: {error.get('ErrorCode')}", function["FunctionArn"])
        yield from _labels(function["FunctionArn"], function.get("Description"))
        yield from _variables(function["FunctionArn"], (environment.get("Variables") or {}).items())


def _projects(clients: Clients, _: bool) -> Iterator[Text | Unread]:
    client = clients("codebuild")
    for names in _batches(_items(client, "list_projects", "projects"), 100):
        answer = client.batch_get_projects(names=names)
        yield from (Unread("it was not found", str(name)) for name in answer.get("projectsNotFound") or ())
        for project in answer["projects"]:
            variables = (project.get("environment") or {}).get("environmentVariables") or ()
            # the value of another type is the name of a parameter or secret
            plain = [each for each in variables if each.get("type", "PLAINTEXT") == "PLAINTEXT"]
            yield from _variables(project["arn"], ((each["name"], each["value"]) for each in plain))
            yield from _labels(project["arn"], project.get("description"), project.get("tags"))
            if buildspec := (project.get("source") or {}).get("buildspec"):
                yield Text(project["arn"], "buildspec", buildspec)


def _stacks(clients: Clients, _: bool) -> Iterator[Text | Unread]:
    for stack in _items(clients("cloudformation"), "describe_stacks", "Stacks"):
        yield from _labels(stack["StackId"], stack.get("Description"), stack.get("Tags"))
        for kind, name, value in (
            ("Parameters", "ParameterKey", "ParameterValue"),
            ("Outputs", "OutputKey", "OutputValue"),
        ):
            for each in stack.get(kind) or ():
                what = f"{kind.lower().removesuffix('s')} {each.get(name)}"
                yield Text(stack["StackId"], what, str(each.get(value) or ""), str(each.get(name)))
                yield from _labels(stack["StackId"], each.get("Description"), its=f"{what}: ")


def _parameters(clients: Clients, decrypt: bool) -> Iterator[Text | Unread]:
    client, sealed = clients("ssm"), 0
    names = list[str]()
    for each in _items(client, "describe_parameters", "Parameters"):
        if each.get("Type") == "SecureString" and not decrypt:
            sealed += 1
        else:
            names.append(each["Name"])
        yield from _labels(each["Name"], each.get("Description"))
    for batch in _batches(names, 10):
        found = client.get_parameters(Names=batch, WithDecryption=decrypt)
        yield from (
            Unread("its value: not found", str(name)) for name in found.get("InvalidParameters") or ()
        )
        for each in found["Parameters"]:
            yield Text(each.get("ARN") or each["Name"], "value", each.get("Value", ""), _last(each["Name"]))
    if sealed:
        yield Unread(f"the values of {sealed} SecureString parameters: give --decrypt")


def _user_data(clients: Clients, _: bool) -> Iterator[Text | Unread]:
    client = clients("ec2")
    for reservation in _items(client, "describe_instances", "Reservations"):
        for instance in reservation["Instances"]:
            if instance.get("State", {}).get("Name") != "terminated":
                yield from _labels(instance["InstanceId"], None, instance.get("Tags"))
                asked = {"InstanceId": instance["InstanceId"], "Attribute": "userData"}
                data = client.describe_instance_attribute(**asked).get("UserData") or {}
                yield from _packed(instance["InstanceId"], data.get("Value"))
    for template in _items(client, "describe_launch_templates", "LaunchTemplates"):
        asked = {"LaunchTemplateId": template["LaunchTemplateId"], "Versions": ["$Latest", "$Default"]}
        found = client.describe_launch_template_versions(**asked)["LaunchTemplateVersions"]
        for number, version in {each.get("VersionNumber"): each for each in found}.items():
            data = version.get("LaunchTemplateData") or {}
            yield from _packed(f"{template['LaunchTemplateId']} version {number}", data.get("UserData"))


def _task_definitions(clients: Clients, _: bool) -> Iterator[Text | Unread]:
    client = clients("ecs")
    for arn in sorted(_in_use(client)):
        definition = client.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        for container in definition.get("containerDefinitions") or ():
            its = f"container {container.get('name')}: "
            variables = container.get("environment") or ()
            yield from _variables(arn, ((each.get("name"), each.get("value")) for each in variables), its)
            others = (
                (name, value) for name, value in container.items() if name not in ("environment", "name")
            )
            yield from (Text(arn, f"{its}{name}", json.dumps(value)) for name, value in others if value)


def _in_use(client: Any) -> set[str]:
    """The task definitions that services and tasks of any cluster have."""
    found = set[str]()
    for cluster in _items(client, "list_clusters", "clusterArns"):
        services = _items(client, "list_services", "serviceArns", cluster=cluster)
        for batch in _batches(services, 10):
            described = client.describe_services(cluster=cluster, services=batch)["services"]
            found |= {each["taskDefinition"] for each in described if each.get("taskDefinition")}
        for batch in _batches(_items(client, "list_tasks", "taskArns", cluster=cluster), 100):
            tasks = client.describe_tasks(cluster=cluster, tasks=batch)["tasks"]
            found |= {each["taskDefinitionArn"] for each in tasks}
    return found


def _secrets(clients: Clients, decrypt: bool) -> Iterator[Text | Unread]:
    client, ids = clients("secretsmanager"), list[str]()
    for secret in _items(client, "list_secrets", "SecretList"):
        arn = secret["ARN"]
        ids.append(arn)
        yield Text(arn, "name", secret["Name"])
        yield from _labels(arn, secret.get("Description"), secret.get("Tags"))
    if ids and not decrypt:
        yield Unread(f"the values of {len(ids)} secrets: give --decrypt")
        return
    for batch in _batches(ids, 20):
        for answer in _secret_values(client, batch):
            for each in answer.get("SecretValues") or ():
                yield from _secret(each["ARN"], each.get("SecretString"), each.get("SecretBinary"))
            for error in answer.get("Errors") or ():
                yield Unread(f"its value: {error.get('ErrorCode')}", str(error.get("SecretId")))


def _secret_values(client: Any, ids: list[str]) -> Iterator[Mapping[str, Any]]:
    """Every page of BatchGetSecretValue, for which botocore has no paginator."""
    more: dict[str, str] = {}
    while True:
        answer = client.batch_get_secret_value(SecretIdList=ids, **more)
        yield answer
        if not answer.get("NextToken") or answer["NextToken"] == more.get("NextToken"):
            return
        more = {"NextToken": answer["NextToken"]}


def _secret(arn: str, text: str | None, binary: bytes | None) -> Iterator[Text]:
    """Names of members are left out: somebody may have put the secret there."""
    whole = text if text is not None else (binary or b"").decode("latin-1")
    yield Text(arn, "value", whole)
    try:
        members = json.loads(whole)
    except (ValueError, RecursionError):
        return
    if isinstance(members, dict):
        texts = ((name, value) for name, value in members.items() if isinstance(value, str))
        yield from (Text(arn, "value", value, name) for name, value in texts)


#: Service, as boto3 names it -> how it is read.
READERS: Mapping[str, Reader] = {
    "lambda": Reader(
        "environment variables and descriptions of functions", ("lambda:ListFunctions",), _functions
    ),
    "codebuild": Reader(
        "environment variables, buildspecs, descriptions and tags of projects",
        ("codebuild:BatchGetProjects", "codebuild:ListProjects"),
        _projects,
    ),
    "cloudformation": Reader(
        "parameters, outputs, descriptions and tags of stacks", ("cloudformation:DescribeStacks",), _stacks
    ),
    "ssm": Reader(
        "parameters and their descriptions",
        ("ssm:DescribeParameters", "ssm:GetParameters"),
        _parameters,
        decrypts=("kms:Decrypt",),
    ),
    "ec2": Reader(
        "user data of instances and launch templates, and tags of instances",
        (
            "ec2:DescribeInstanceAttribute",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeLaunchTemplates",
        ),
        _user_data,
    ),
    "ecs": Reader(
        "containers of task definitions in use: environment variables, commands, options of logs, labels",
        (
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeTasks",
            "ecs:ListClusters",
            "ecs:ListServices",
            "ecs:ListTasks",
        ),
        _task_definitions,
    ),
    "secretsmanager": Reader(
        "names, descriptions and tags of secrets",
        ("secretsmanager:ListSecrets",),
        _secrets,
        decrypts=("kms:Decrypt", "secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"),
    ),
}

#: Where keys are found to stand, too, and nothing here looks.
NOT_READ: Sequence[str] = (
    "code, layers and tags of functions, and published versions other than the latest",
    "images of containers and machines, and their disks",
    "versions of launch templates but the latest and the default one, launch configurations, and templates of stacks",
    "task definitions that only schedules or pipelines start",
    "objects in buckets, and repositories: search checkouts with --files",
    "logs of CloudWatch, builds and pipelines",
    "Glue, SageMaker, Batch, App Runner, Elastic Beanstalk, Amplify, Step Functions, AppConfig, EKS and DMS",
    "whatever lies outside AWS, such as the secrets of a CI service",
)


def _items(client: Any, operation: str, result: str, **parameters: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(result) or ()


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _variables(resource: str, variables: Iterable[tuple[Any, Any]], its: str = "") -> Iterator[Text]:
    for name, value in variables:
        yield Text(resource, f"{its}environment variable {name}", str(value or ""), str(name))


def _labels(resource: str, description: Any, tags: Any = None, its: str = "") -> Iterator[Text]:
    """What people write on a resource, where the call that lists it returns that."""
    if description:
        yield Text(resource, f"{its}description", str(description))
    for tag in tags or ():
        key, value = (str(tag.get(name) or tag.get(name.lower()) or "") for name in ("Key", "Value"))
        yield Text(resource, f"tag {key}", f"{key} {value}", key)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _packed(resource: str, data: str | None) -> Iterator[Text | Unread]:
    """User data, in base64 and maybe packed by gzip."""
    if not data:
        return
    try:
        content = base64.b64decode(data, validate=False)
        if content[:2] == b"\x1f\x8b":
            unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            content = unpacking.decompress(content, _LARGEST_USER_DATA)
            if unpacking.unused_data or not unpacking.eof:
                yield Unread("its user data: not all of it can be unpacked", resource)
    except (binascii.Error, zlib.error, ValueError) as error:
        yield Unread(f"its user data: {error}", resource)
        return
    yield Text(resource, "user data", content.decode("latin-1"))
