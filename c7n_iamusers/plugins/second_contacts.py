# SPDX-License-Identifier: Apache-2.0
"""The option ``escalate-to`` of ``notify-owners``: who else is told of users that stay overdue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers.execution.executor import SINGLE_TRY
from c7n_iamusers.execution.retries import Backoff, error_code
from c7n_iamusers.text.addresses import foreign_domain, is_address
from c7n_iamusers.text.wording import quoted, shown

#: An alternate contact of the account, and a tag of the user, in the place of an address.
CONTACT, TAG = "alternate-contact:", "tag:"
#: AlternateContactType (GetAlternateContact, AWS Account Management API Reference).
KINDS = ("OPERATIONS", "SECURITY", "BILLING")
PERMISSION = "account:GetAlternateContact"
#: Addresses from tags that one message takes. Whoever may tag users chooses them.
_MOST = 10


def check(data: Mapping[str, Any], told: str) -> None:
    """Raises PolicyValidationError for a kind of contact that does not exist, or addresses that anybody may choose."""
    sources = [each for each in data.get("escalate-to", ()) if str(each).startswith((CONTACT, TAG))]
    for each in sources:
        kind = each.removeprefix(CONTACT)
        if kind != each and kind not in KINDS:
            raise PolicyValidationError(
                f"{told}: escalate-to: {each} is no alternate contact: write {CONTACT}{'|'.join(KINDS)}"
            )
        if each == TAG:
            raise PolicyValidationError(f"{told}: escalate-to: {TAG} names no key: write {TAG}KEY")
    if sources and "email-domains" not in data:
        raise PolicyValidationError(
            f"{told}: escalate-to: {', '.join(sources)} needs email-domains, a list of domains: somebody in the "
            "account may choose that address"
        )


def addresses(action: Any) -> tuple[str, ...]:
    """The addresses in ``action`` itself. Raises PolicyExecutionError for any other text, such as a blank variable."""
    given = [
        str(each) for each in action.data.get("escalate-to", ()) if not str(each).startswith((CONTACT, TAG))
    ]
    if wrong := [each for each in given if not is_address(each)]:
        raise PolicyExecutionError(
            f"policy {action.policy_name}: {action.type}: escalate-to has {', '.join(map(quoted, wrong))}, which is no "
            "e-mail address. Nobody was addressed: correct it, or leave escalate-to out"
        )
    return tuple(given)


def looked_up(action: Any, late: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], list[str]]:
    """The addresses of contacts and tags for the users ``late``, each once; and the faults, in sentences.

    One call for each kind of contact. A contact that can't be read is a fault.
    """
    found, faults = dict[str, None](), list[str]()
    domains = action.data.get("email-domains", ())
    for source in map(str, action.data.get("escalate-to", ())):
        if source.startswith(CONTACT):
            texts = [*_contact(action, source.removeprefix(CONTACT), faults)]
        elif source.startswith(TAG):
            texts = [*_tags(source.removeprefix(TAG), late, faults)]
        else:
            continue
        for text in texts:
            if not is_address(text):
                faults.append(f"escalate-to: {source} is {quoted(text)}, which is no e-mail address")
            elif domain := foreign_domain(text, domains):
                faults.append(
                    f"escalate-to: {source} is {quoted(text)}, of domain {domain}: not in email-domains"
                )
            else:
                found[text] = None
    if len(found) > _MOST:
        faults.append(f"escalate-to: {len(found)} addresses were found, and {_MOST} of them are written to")
    return tuple(found)[:_MOST], faults


def permissions(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The IAM actions that looking up needs, in the account itself."""
    contacts = any(str(each).startswith(CONTACT) for each in data.get("escalate-to", ()))
    return (PERMISSION,) if contacts else ()


def _contact(action: Any, kind: str, faults: list[str]) -> Iterator[str]:
    """The address of the account's own contact: without AccountId, which a member may not name."""
    client = action.manager.session_factory().client("account", config=SINGLE_TRY)
    try:
        answer = Backoff().call(client.get_alternate_contact, AlternateContactType=kind)
    except (ClientError, BotoCoreError) as error:
        if error_code(error) == "ResourceNotFoundException":
            faults.append(f"escalate-to: the account has no {kind} contact: set one, or name an address")
        else:
            faults.append(f"escalate-to: the {kind} contact can't be read: {error}: allow {PERMISSION}")
        return
    yield str((answer.get("AlternateContact") or {}).get("EmailAddress") or "").strip()


def _tags(key: str, late: Sequence[Mapping[str, Any]], faults: list[str]) -> Iterator[str]:
    without = list[str]()
    for user in late:
        tags = {str(each["Key"]): str(each["Value"]) for each in user.get("Tags") or ()}
        if text := tags.get(key, "").strip():
            yield text
        else:
            without.append(str(user["UserName"]))
    if without:
        faults.append(f"escalate-to: {shown(without)} without a tag {key}")
