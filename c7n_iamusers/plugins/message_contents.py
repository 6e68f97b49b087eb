# SPDX-License-Identifier: Apache-2.0
"""What a message has of each user: some of its members, with reasons for owners, the riskiest user first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

from c7n_iamusers.evidence.assessment import ANNOTATION
from c7n_iamusers.notices.stock_rows import is_for_stock
from c7n_iamusers.plugins.resources import Resource
from c7n_iamusers.reasons import NO_QUARANTINE, read_reason
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.wording import all_visible

#: Members with whole policy documents. c7n-mailer's own templates would print them into mails and channels.
LEFT_OUT = frozenset({"UserPolicyList", "c7n:User"})
#: What the package's templates and c7n-mailer itself read of a user, and of its annotation.
_SENT = frozenset(
    ("UserName", "UserId", "Arn", "Path", "CreateDate", "PasswordLastUsed", "Tags", "AccessKeyId", "Status")
)
_SENT_OF_ANNOTATION = frozenset(
    {
        "kind",
        "key",
        "replacement",
        "findings",
        "last_activity",
        "attachments",
        "unread",
        "named_by",
        "usage",
        "priority",
        "attempts",
        "created",
        "managed",
        "would-be-exempt",
        "used",
        "notice",
        "provisioning",
        "identity-center",
        "outcome",
    }
)
_TEMPLATES = ("iam-users-", "iam-keys-", "slack_iam_users")


def without_documents(resources: Iterable[Resource]) -> list[Resource]:
    """Copies of ``resources`` without the members in LEFT_OUT, which later actions still find on the originals."""
    return [{key: value for key, value in resource.items() if key not in LEFT_OUT} for resource in resources]


def reason_for_owners(outcome: Mapping[str, Any]) -> str:
    """Why an action left a user as it is, for the owner of its account: without what operators have to do.

    ``outcome``: its annotation. ``earlier`` in it: why the user was not put in quarantine, if that is known.
    """
    reason, earlier = read_reason(outcome), outcome.get("earlier")
    if earlier and reason.code in NO_QUARANTINE:
        return f"it was not put in quarantine: {earlier}"
    return reason.for_owners


def for_message(resources: Iterable[Resource], action: Mapping[str, Any]) -> list[Resource]:
    """Copies of ``resources`` with what a message by ``action``, the data of one of our actions, needs.

    The package's own templates, and c7n-mailer's, need less than half of a user, so that many users fit one message,
    and the reasons for owners. Another template may need everything but whole policy documents. Every text is made
    visible. With ``email-domains``, tags with addresses of other domains are left out, since c7n-mailer writes to the
    addresses that it finds in tags. It publishes to topics in tags too: the package's own actions leave those tags out.
    """
    templates = [str(value) for key, value in action.items() if key.endswith("template")]
    ours = "template" in action and all(template.startswith(_TEMPLATES) for template in templates)
    trimmed = ours or is_for_stock(action)
    found = [_trimmed(resource) for resource in resources] if trimmed else without_documents(resources)
    if domains := action.get("email-domains"):
        for each in found:
            each["Tags"] = [tag for tag in each.get("Tags") or () if _may_be_sent(str(tag["Value"]), domains)]
    if action.get("type", "notify") != "notify":
        for each in (each for each in found if each.get("Tags")):
            each["Tags"] = [tag for tag in each["Tags"] if not str(tag["Value"]).startswith("arn:")]
    return [all_visible(each) for each in found]


def _trimmed(resource: Resource) -> Resource:
    known = resource.get(ANNOTATION, {})
    sent = {key: value for key, value in known.items() if key in _SENT_OF_ANNOTATION}
    if known.get("usage"):
        sent["usage"] = [_told_usage(each) for each in known["usage"]]
    if outcome := known.get("outcome"):
        told = {key: value for key, value in outcome.items() if key not in ("earlier", "for_owners")}
        sent["outcome"] = {**told, "reason": reason_for_owners(outcome)}
    if made := known.get("provisioning"):
        told = {key: value for key, value in made.items() if key != "for_owners"}
        sent["provisioning"] = {**told, "reason": read_reason(made).for_owners}
    return {**{key: value for key, value in resource.items() if key in _SENT}, ANNOTATION: sent}


#: Callers of a key that a message has.
_MOST_CALLERS = 2


def _told_usage(key: Mapping[str, Any]) -> dict[str, Any]:
    """Who calls with a key, without the sources."""
    callers = key["callers"]
    more = len(callers[_MOST_CALLERS:]) + (key.get("more-callers") or 0)
    told = {"callers": [{"text": each["text"]} for each in callers[:_MOST_CALLERS]], "more-callers": more}
    return {**{name: key[name] for name in ("id", "result", "text")}, **told}


def _may_be_sent(value: str, domains: Sequence[str]) -> bool:
    return "@" not in value or (is_address(value) and not foreign_domain(value, domains))


_SEVERITIES = ("low", "medium", "high")


def by_risk(resources: Iterable[Resource]) -> list[Resource]:
    """``resources`` by their priority; then those without one, with the highest severity of their findings first.

    Otherwise they stay in their order.
    """

    def risk(resource: Resource) -> int:
        found = [each.get("severity") for each in resource.get(ANNOTATION, {}).get("findings", ())]
        return max((_SEVERITIES.index(each) for each in found if each in _SEVERITIES), default=-1)

    def place(resource: Resource) -> tuple[float, int]:
        priority = resource.get(ANNOTATION, {}).get("priority")
        return (priority["number"] if priority else inf, -risk(resource))

    return sorted(resources, key=place)
