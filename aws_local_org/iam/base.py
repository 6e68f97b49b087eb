# SPDX-License-Identifier: Apache-2.0
"""The base of all parts of IAM: request dispatch and entity lookup."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar

from moto.backends import get_backend
from moto.core.exceptions import ServiceException
from moto.core.responses import TYPE_RESPONSE, ActionResult
from moto.core.utils import camelcase_to_underscores, get_service_model
from moto.iam.models import IAMBackend, iam_backends
from moto.iam.responses import IamResponse

from aws_local_org import credentials, settings
from aws_local_org.credentials import Principal
from aws_local_org.errors import iam_error, no_such_entity, validation_error
from aws_local_org.iam.entities import User
from aws_local_org.iam.parameters import check_parameters
from aws_local_org.iam.results import DEFAULT_PAGE, PageRequest, PlainResult, page_of, paged_members

#: Operations that do not act on the caller where UserName is not given.
_NOT_THE_CALLER = frozenset({"ListServiceSpecificCredentials", "GetMFADevice"})

#: moto pages some lists itself; with this size it returns everything and leaves paging to this module.
_EVERYTHING = 10**9

T = TypeVar("T")


def existing(entity: T | None, what: str) -> T:
    """``entity``. If it is None, raises NoSuchEntity, which says that ``what`` cannot be found."""
    if entity is None:
        raise no_such_entity(f"{what} cannot be found.")
    return entity


class Backend(IAMBackend):
    """moto's IAM of one account, which the parts extend."""

    users: dict[str, User]

    def get_user(self, name: str) -> User:
        return existing(self.users.get(name), f"The user with name {name}")


class Response(IamResponse):
    """Checks parameters, calls the operation's method, cuts its result to a page, and turns errors into AWS's."""

    #: The request as parsed by botocore.
    params: dict[str, Any]

    @property
    def backend(self) -> Backend:
        backend: Any = iam_backends[self.current_account][self.partition]
        assert isinstance(backend, Backend)
        return backend

    @property
    def caller(self) -> Principal:
        caller: Principal = self.normalized_request.environ[credentials.ENVIRON_KEY]
        return caller

    def parse_parameters(self, request: Any) -> None:
        _operation(self._get_action())
        super().parse_parameters(request)

    def call_action(self) -> TYPE_RESPONSE:
        operation = _operation(self._get_action())
        method = getattr(self, _method_name(operation.name), None)
        if method is None:
            raise NotImplementedError
        check_parameters(operation, self.params)
        self._imply_user(operation)
        request = self._page_request(operation.name)
        try:
            result: ActionResult = method()
        except ServiceException as error:
            raise iam_error(error.code, error.message) from error
        if request is not None:
            result = type(result)(page_of(request, _as_dict(result)))
        status, headers, body = self.serialized(result)
        if not isinstance(result, PlainResult):  # moto's results lack their request id until now
            headers, body = self._enrich_response(headers, body)
        return status, headers, body

    def _imply_user(self, operation: Any) -> None:
        """ "If you do not specify a user name, IAM determines the user name implicitly based on the access key".

        Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html.
        """
        if self.params.get("UserName") or not _implies_user(operation):
            return
        if self.caller.user_name is None:
            raise validation_error("Must specify userName when calling with non-User credentials")
        self.params["UserName"] = self.caller.user_name

    def _page_request(self, operation: str) -> PageRequest | None:
        if not paged_members(operation):
            return None
        marker = self.params.pop("Marker", None)
        request = PageRequest(operation, marker, int(self.params.get("MaxItems") or DEFAULT_PAGE))
        self.params["MaxItems"] = _EVERYTHING
        return request


@cache
def _operation(name: str) -> Any:
    model = get_service_model("iam")
    if name not in model.operation_names:
        raise iam_error("InvalidAction", f"Could not find operation {name} for version 2010-05-08")
    return model.operation_model(name)


def _implies_user(operation: Any) -> bool:
    shape = operation.input_shape
    optional = shape is not None and "UserName" in shape.members and "UserName" not in shape.required_members
    return optional and operation.name not in _NOT_THE_CALLER


def is_of_caller(name: str) -> bool:
    """Whether the operation acts on the caller if it is given no UserName."""
    return name == "ChangePassword" or _implies_user(_operation(name))


@cache
def _method_name(operation: str) -> str:
    return str(camelcase_to_underscores(operation))


def _as_dict(result: ActionResult) -> dict[str, Any]:
    content = result.result
    assert isinstance(content, dict), "a paged operation returns its members by name"
    return content


def dispatched_at(response: type[IamResponse]) -> Any:
    """The members that moto reads of a service's urls module, with our response class behind the only path."""
    return SimpleNamespace(
        url_bases=[r"https?://iam\.(.*\.)?amazonaws\.com"], url_paths={"{0}/$": response.dispatch}
    )


#: Resource type -> the entity, from the backend of its account, its name and its ARN.
_ENTITIES: Mapping[str, Callable[[Any, str, str], Any]] = {
    "group": lambda backend, name, _: backend.groups.get(name),
    "instance-profile": lambda backend, name, _: backend.instance_profiles.get(name),
    "mfa": lambda backend, _, arn: backend.virtual_mfa_devices.get(arn),
    "policy": lambda backend, _, arn: backend.managed_policies.get(arn),
    "role": lambda backend, name, _: next(
        (role for role in backend.roles.values() if role.name == name), None
    ),
    "server-certificate": lambda backend, name, _: backend.certificates.get(name),
    "user": lambda backend, name, _: backend.users.get(name),
}


def entity_named(account: str, kind: str, name: str, arn: str = "") -> Any:
    """The entity of this resource type and name; None if there is none."""
    find = _ENTITIES.get(kind)
    return find(iam_backends[account][settings.current().partition], name, arn) if find else None


def entity_of(arn: str) -> Any:
    """The entity with this ARN in the IAM of an account of the organization; None if there is none."""
    fields = arn.split(":", 5)
    if len(fields) < 6 or fields[2] != "iam" or fields[4] not in settings.current().account_ids:
        return None
    kind, _, place = fields[5].partition("/")
    found = entity_named(fields[4], kind, place.rpartition("/")[2], arn)
    # another path is another ARN
    return found if getattr(found, "arn", arn) == arn else None


# A trust policy keeps a user or role that its Principal names by its unique id, and shows its ARN while it exists: "if
# you delete the role, then you break the relationship ... even if you recreate the role" (IAM User Guide, "AWS JSON
# policy elements: Principal"). Here it keeps the ARN until the ARN changes. So do the policies of other resources.

#: Service of moto -> the member of its backend with the resources that have a policy as JSON.
_WITH_POLICIES = {
    "ecr": "repositories",
    "kms": "keys",
    "s3": "buckets",
    "secretsmanager": "secrets",
    "sns": "topics",
    "sqs": "queues",
}


def replace_principal(old: str, new: str) -> None:
    """Replace the ARN ``old`` in all accounts' trust policies, and in those of buckets, keys, queues, topics, secrets
    and repositories, by ``new``: another ARN, or a unique id.
    """
    current = settings.current()
    for account in current.account_ids:
        backend: Any = iam_backends[account][current.partition]
        for role in backend.roles.values():
            if old in role.assume_role_policy_document:
                role.assume_role_policy_document = _replaced(role.assume_role_policy_document, old, new)
        for resource in _resources_with_policies(account):
            policy = resource.policy
            text = policy.decode() if isinstance(policy, bytes) else policy
            if text and old in text:
                changed = _replaced(text, old, new)
                resource.policy = changed.encode() if isinstance(policy, bytes) else changed


def _resources_with_policies(account: str) -> Iterator[Any]:
    for service, member in _WITH_POLICIES.items():
        if f"moto.{service}.models" in sys.modules:  # nobody has any, otherwise
            backends: Any = get_backend(service)
            for backend in [*backends[account].values()]:
                yield from getattr(backend, member).values()


def _replaced(document: str, old: str, new: str) -> str:
    try:
        data = json.loads(document)
    except ValueError:
        return document
    for principal in aws_principals(data):
        named = principal["AWS"]
        if isinstance(named, list):
            principal["AWS"] = [new if each == old else each for each in named]
        elif named == old:
            principal["AWS"] = new
    return json.dumps(data)


def aws_principals(data: Any) -> Iterator[dict[str, Any]]:
    """The principals of a trust policy's statements that name AWS principals."""
    statements = data.get("Statement") if isinstance(data, dict) else None
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            principal = statement.get(element) if isinstance(statement, dict) else None
            if isinstance(principal, dict) and "AWS" in principal:
                yield principal
