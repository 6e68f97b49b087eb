# SPDX-License-Identifier: Apache-2.0
"""An Identity Center in this process, on a clock that passes only while somebody sleeps: hours of a run take minutes.

It begins empty, has the operations of a first run, and refuses more than 15 assignments in progress, as AWS does. Each
request waits for its slot of the rate limit, as those of boto3's clients do.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.execution.rate_limit import IDENTITY_CENTER_RATE, RateLimit
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import Center
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.identity_center.writer.schedule import QUOTAS
from c7n_iamusers.identity_center.writer.writer import ApplyOptions

#: The operation of which AWS takes a few at a time.
ASSIGNING = "CreateAccountAssignment"
#: How the names of methods begin that change something.
_CHANGING = ("create_", "put_", "attach_", "update_", "provision_", "tag_", "delete_")
_STATUS = "AccountAssignmentCreationStatus"


class VirtualClock:
    """Seconds. Thread-safe: a thread that sleeps wakes at the time that it had read, and its seconds."""

    def __init__(self) -> None:
        self._now, self._lock, self._seen = 0.0, threading.Lock(), threading.local()

    def __call__(self) -> float:
        with self._lock:
            self._seen.now = self._now
            return self._now

    def sleep(self, seconds: float) -> None:
        """The clock is set, if it is not there already."""
        with self._lock:
            self._now = max(self._now, getattr(self._seen, "now", self._now) + seconds)
            self._seen.now = self._now


class AtOnce(Executor):
    """Makes each call when it is submitted, in the same thread."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result or the exception, as a future."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # whatever it is, the future raises it
            future.set_exception(error)
        return future


class VirtualCenter:
    """``seconds``: of an assignment. ``owner``: the account id of the instance."""

    def __init__(self, owner: str, seconds: float) -> None:
        self.clock, self._seconds, self._numbers = VirtualClock(), seconds, itertools.count()
        self._instance = Instance("arn:aws:sso:::instance/ssoins-1", "d-1", "us-east-1", owner)
        self._asked: list[str] = []
        self._changed: list[str] = []
        self._sets: dict[str, dict[str, Any]] = {}
        self._members: defaultdict[str, list[str]] = defaultdict(list)
        #: Request id -> when the assignment ends; those in progress.
        self._in_progress: dict[str, float] = {}

    def connected(self) -> Center:
        """The center, with new clients."""
        rate = RateLimit(IDENTITY_CENTER_RATE, self.clock, self.clock.sleep)
        clients = {name: _Client(name, self) for name in ("sso-admin", "identitystore")}
        for client in clients.values():
            rate.attach(client)
        backoff = Backoff(sleep=self.clock.sleep)
        return Center(clients, self._instance, backoff, rate, self._instance.owner)

    def options(self) -> ApplyOptions:
        """How to apply changes on this clock."""
        return ApplyOptions(clock=self.clock, sleep=self.clock.sleep, pool=AtOnce)

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was called."""
        return Counter(self._asked)

    @property
    def changes(self) -> Counter[str]:
        """How often each operation changed something."""
        return Counter(self._changed)

    def answer(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        """The response of an operation, by the name of boto3's method. Lists that it does not know are empty."""
        self._asked.append(method)
        known = getattr(self, f"_{method}", None)
        if known is None and method.startswith("get_"):
            raise _refusal("ResourceNotFoundException", method)
        found: dict[str, Any] = known(**given) if known else {}
        if method.startswith(_CHANGING):
            self._changed.append(method)
        return found

    def _id(self) -> str:
        return f"{next(self._numbers):036}"

    def _create_permission_set(self, **given: Any) -> dict[str, Any]:
        arn = f"arn:aws:sso:::permissionSet/ssoins-1/ps-{self._id()}"
        self._sets[arn] = {**given, "PermissionSetArn": arn, "attached": [], "references": []}
        return self._describe_permission_set(PermissionSetArn=arn)

    def _describe_permission_set(self, *, PermissionSetArn: str, **_: Any) -> dict[str, Any]:
        return {"PermissionSet": self._sets[PermissionSetArn]}

    def _delete_permission_set(self, *, PermissionSetArn: str, **_: Any) -> dict[str, Any]:
        del self._sets[PermissionSetArn]
        return {}

    def _put_inline_policy_to_permission_set(
        self, *, PermissionSetArn: str, InlinePolicy: str, **_: Any
    ) -> dict[str, Any]:
        self._sets[PermissionSetArn]["InlinePolicy"] = InlinePolicy
        return {}

    def _get_inline_policy_for_permission_set(self, *, PermissionSetArn: str, **_: Any) -> dict[str, Any]:
        return {"InlinePolicy": self._sets[PermissionSetArn].get("InlinePolicy", "")}

    def _attach_customer_managed_policy_reference_to_permission_set(
        self, *, PermissionSetArn: str, CustomerManagedPolicyReference: Any, **_: Any
    ) -> dict[str, Any]:
        self._sets[PermissionSetArn]["references"].append(dict(CustomerManagedPolicyReference))
        return {}

    def _list_customer_managed_policy_references_in_permission_set(
        self, *, PermissionSetArn: str, **_: Any
    ) -> dict[str, Any]:
        return {"CustomerManagedPolicyReferences": self._sets[PermissionSetArn]["references"]}

    def _create_group(self, **_: Any) -> dict[str, Any]:
        return {"GroupId": self._id()}

    def _create_user(self, *, DisplayName: str = "", **_: Any) -> dict[str, Any]:
        if not DisplayName:
            raise _refusal("ValidationException", "CreateUser")
        return {"UserId": self._id()}

    def _create_group_membership(self, *, GroupId: str, MemberId: Any, **_: Any) -> dict[str, Any]:
        self._members[GroupId].append(MemberId["UserId"])
        return {"MembershipId": self._id()}

    def _list_group_memberships(self, *, GroupId: str, **_: Any) -> dict[str, Any]:
        listed = [
            {"MembershipId": f"m-{each}", "GroupId": GroupId, "MemberId": {"UserId": each}}
            for each in self._members.get(GroupId, ())
        ]
        return {"GroupMemberships": listed}

    def _create_account_assignment(self, **_: Any) -> dict[str, Any]:
        if len(self._still()) >= QUOTAS[ASSIGNING].limit:
            raise _refusal("ValidationException", "create_account_assignment")
        request_id = self._id()
        self._in_progress[request_id] = self.clock() + self._seconds
        return self._described(request_id)

    def _list_account_assignment_creation_status(self, **_: Any) -> dict[str, Any]:
        return {"AccountAssignmentsCreationStatus": [{"RequestId": each} for each in self._still()]}

    def _describe_account_assignment_creation_status(self, **given: Any) -> dict[str, Any]:
        return self._described(given["AccountAssignmentCreationRequestId"])

    def _described(self, request_id: str) -> dict[str, Any]:
        status = "IN_PROGRESS" if request_id in self._still() else "SUCCEEDED"
        return {_STATUS: {"RequestId": request_id, "Status": status}}

    def _still(self) -> dict[str, float]:
        now = self.clock()
        self._in_progress = {each: until for each, until in self._in_progress.items() if now < until}
        return self._in_progress


class _Client:
    """A client as boto3 makes them: ``meta`` has what a rate limit is attached to."""

    def __init__(self, service: str, center: VirtualCenter) -> None:
        self._center = center
        self._before: Callable[..., None] = lambda **_: None
        identity = SimpleNamespace(hyphenize=lambda: service)
        events = SimpleNamespace(register_first=self._register)
        self.meta = SimpleNamespace(service_model=SimpleNamespace(service_id=identity), events=events)

    def _register(self, _: str, handler: Callable[..., None]) -> None:
        self._before = handler

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        def call(**given: Any) -> dict[str, Any]:
            self._before()
            return self._center.answer(method, given)

        return call


def _refusal(code: str, operation: str) -> ClientError:
    refused: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(refused, operation)
