# SPDX-License-Identifier: Apache-2.0
"""Asks an account whether it has what functions need: a trail, the roles that they leave out, and concurrency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.paging import items
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.iam.permissions import simulation
from c7n_iamusers.iam.policy_documents import listed, parse_document, statements
from c7n_iamusers.organization.readiness import ATTENTION, HOLE, OK, UNKNOWN, Check, Target

_ERRORS = (ClientError, BotoCoreError, KeyError)
#: The variables that name the roles whose calls the functions leave out.
OWN_ROLES = ("runner_role", "restorer_role")
#: "Lambda requires that at least 100 units stay unreserved" (Lambda Developer Guide, reserved concurrency).
_LEAST_UNRESERVED = 100


@dataclass(frozen=True)
class FunctionProbes:
    """``clients``: makes a client of a service in the account of ``target``, by its role."""

    target: Target
    clients: Callable[[str], Any]
    backoff: Backoff

    def all(self, used: Iterable[str], events: bool, reserved: int) -> Iterator[Check]:
        """``used``: the variables of the policies. ``events``: whether some policies run on CloudTrail's events.

        ``reserved``: the concurrency that all reserve together.
        """
        if events:
            yield self._trail()
        for variable in OWN_ROLES:
            if variable in used:
                yield self._own_role(variable)
        yield self._concurrency(reserved)

    def _trail(self) -> Check:
        """Whether a trail in the home Region logs write management events, as IAM's are."""
        name, region = "trail", self.target.region
        remedy = (
            f"create a trail in {region}, or one of all Regions, that logs management events of writes: without it no "
            "function runs"
        )
        found, client = [], self.clients("cloudtrail")
        try:
            # shadow trails: those of the organization and of all Regions
            for trail in self.backoff.call(client.describe_trails, includeShadowTrails=True)["trailList"]:
                status = self.backoff.call(client.get_trail_status, Name=trail["TrailARN"])
                if not status.get("IsLogging"):
                    continue
                selected = self.backoff.call(client.get_event_selectors, TrailName=trail["TrailARN"])
                if _logs_writes(selected):
                    found.append(trail["TrailARN"])
        except _ERRORS as error:
            allow = "allow cloudtrail:DescribeTrails, GetTrailStatus and GetEventSelectors"
            return self._check(name, UNKNOWN, f"not checked: {error}", allow)
        if not found:
            return self._check(name, HOLE, f"no trail logs management events of writes in {region}", remedy)
        return self._check(name, OK, found[0])

    def _own_role(self, variable: str) -> Check:
        """Whether the role exists: if not, somebody can create it and its calls go unreported."""
        role = str(self.target.variables.get(variable) or "")
        arn = f"arn:{self.target.partition}:iam::{self.target.account_id}:role/{role}"
        why = "the calls of a role with this name are not reported, and somebody may create one"
        remedy = f"create it, or correct {variable} in the accounts file"
        try:
            found = self.backoff.call(self.clients("iam").get_role, RoleName=role.rpartition("/")[2])
        except _ERRORS as error:
            if error_code(error) == "NoSuchEntity":
                return self._check(variable, HOLE, f"{arn} does not exist: {why}", remedy)
            return self._check(variable, UNKNOWN, f"{arn}: not checked: {error}", "allow iam:GetRole on it")
        if found["Role"]["Arn"] != arn:
            return self._check(variable, HOLE, f"{arn} does not exist, but {found['Role']['Arn']}", remedy)
        return self._check(variable, OK, arn)

    def _concurrency(self, reserved: int) -> Check:
        """Whether the account has more concurrency than the functions reserve."""
        name = "concurrency"
        try:
            limits = self.backoff.call(self.clients("lambda").get_account_settings)["AccountLimit"]
            left, whole = limits["UnreservedConcurrentExecutions"], limits["ConcurrentExecutions"]
        except _ERRORS as error:
            return self._check(name, UNKNOWN, f"not checked: {error}", "allow lambda:GetAccountSettings")
        if left - reserved < min(_LEAST_UNRESERVED, whole):
            told = (
                f"the functions reserve {reserved}, and {left} of {whole} are unreserved, of which Lambda keeps "
                f"{_LEAST_UNRESERVED}"
            )
            return self._check(name, HOLE, told, "have the quota Concurrent executions raised")
        if whole <= _LEAST_UNRESERVED:
            told = f"the account has {whole} concurrent executions in all, which these functions share with others"
            return self._check(name, ATTENTION, told, "have the quota Concurrent executions raised")
        return self._check(name, OK, f"{left} of {whole} are unreserved")

    def deployer(self, statements: Iterable[Mapping[str, Any]], fault: str) -> Check:
        """Whether the role may deploy the functions. ``fault``: why the needed permissions are unknown; or empty."""
        name, denied = "permissions to deploy", list[str]()
        if fault or not self.target.roles:
            return self._check(
                name, UNKNOWN, f"not checked: {fault or 'a profile does not say whose policies count'}"
            )
        iam = self.clients("iam")
        try:
            for each in statements:
                context = {
                    key: value for keys in each.get("Condition", {}).values() for key, value in keys.items()
                }
                asked = simulation(self.target.roles[-1], each["Action"], each["Resource"], context)
                rows = items(iam, "SimulatePrincipalPolicy", "EvaluationResults", self.backoff, **asked)
                denied += [row["EvalActionName"] for row in rows if row["EvalDecision"] != "allowed"]
        except _ERRORS as error:
            return self._check(name, UNKNOWN, f"not checked by iam:SimulatePrincipalPolicy: {error}")
        if denied:
            remedy = "give the role what `c7n-iamusers roles --role deployer` prints for these policies"
            return self._check(name, HOLE, f"not allowed: {', '.join(sorted(set(denied)))}", remedy)
        return self._check(name, OK, "as far as identity policies tell")

    def _check(self, name: str, status: str, text: str, remedy: str = "") -> Check:
        return Check(str(self.target), name, status, text, remedy if status != OK else "")


def missing_statements(wanted: Mapping[str, Any], text: str) -> list[str]:
    """What the printed policy ``wanted`` allows and the policy in ``text`` does not: its actions, in words.

    The policy in ``text`` must have each statement, or a wider one: without further conditions, and with all values of
    each list.
    """
    there = statements(parse_document(text)) if text else ()
    return [
        f"{', '.join(each['Action'])} on {', '.join(listed(each['Resource']))}"
        for each in wanted["Statement"]
        if each["Effect"] == "Allow" and not any(_covers(other, each) for other in there)
    ]


def _covers(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    if there.get("Effect") != "Allow" or not _has_all(
        there.get("Action"), wanted["Action"], "s3:*", "sqs:*", "*"
    ):
        return False
    conditions = there.get("Condition") or {}
    kept = {
        (operator, key): each for operator, keys in wanted["Condition"].items() for key, each in keys.items()
    }
    return (
        _has_all(there.get("Resource"), wanted["Resource"])
        and _has_all(_accounts(there.get("Principal")), _accounts(wanted["Principal"]), "*")
        and all(
            key == "aws:PrincipalOrgID" or _has_all(given, kept.get((operator, key), ["no such condition"]))
            for operator, keys in conditions.items()
            for key, given in keys.items()
        )
    )


def _accounts(principal: Any) -> list[str]:
    """The accounts that a Principal names by id or by the ARN of the root, or *."""
    named = map(str, listed(principal.get("AWS") if isinstance(principal, Mapping) else principal))
    return [each.split(":")[4] if each.endswith(":root") else each for each in named]


def _has_all(given: Any, wanted: Any, *wider: str) -> bool:
    values = {*map(str, listed(given))}
    return bool(values.intersection(wider)) or values >= {*map(str, listed(wanted))}


def _logs_writes(selected: Mapping[str, Any]) -> bool:
    """Whether the answer of GetEventSelectors selects write management events, IAM's among them."""
    for each in selected.get("EventSelectors") or ():
        # the only sources that can be left out there are KMS and RDS's Data API
        if each.get("IncludeManagementEvents") and each.get("ReadWriteType") != "ReadOnly":
            return True
    return any(map(_is_of_writes, selected.get("AdvancedEventSelectors") or ()))


def _is_of_writes(selector: Mapping[str, Any]) -> bool:
    fields = {each["Field"]: each for each in selector.get("FieldSelectors") or ()}
    if "Management" not in fields.get("eventCategory", {}).get("Equals", ()):
        return False
    if "true" in fields.get("readOnly", {}).get("Equals", ()):
        return False
    source = fields.get("eventSource", {})
    named = source.get("Equals")
    return "iam.amazonaws.com" not in source.get("NotEquals", ()) and (
        not named or "iam.amazonaws.com" in named
    )
