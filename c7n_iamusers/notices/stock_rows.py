# SPDX-License-Identifier: Apache-2.0
"""What c7n-mailer's own templates show of a message: flat rows, a line before them and a text after them. Pure.

``default.html`` prints ``violation_desc``, the resources as a table whose columns are the keys of the first, and
``action_desc``, and escapes nothing. ``slack_default`` puts both texts between quotes of JSON.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from c7n_iamusers.execution.outcomes import ACTIVATED, DEACTIVATED, RETIRED
from c7n_iamusers.notices.templates import OURS, STOCK, TEMPLATES

#: What the filters and actions know of a user, as templates spell it (``evidence.assessment.ANNOTATION``).
ANNOTATION = "c7n:IamUser"
#: Steps of messages, as their actions name them. ``access``: those of notify-people.
ANNOUNCE, REMIND, INFORM = "announce", "remind", "inform"
#: That access has stopped, from the outcomes of quarantine.
DENIED = "denied"
#: That the announced day has come, and the user is spared.
OVERDUE = "overdue"
CREATED, USED, ACCESS = "created", "used", "access"
_KINDS = {
    "human": "person",
    "machine": "program",
    "mixed": "person and program",
    "bedrock-api-key": "Bedrock API key",
    "no-credentials": "no credentials",
    "unknown": "person or program",
}
#: What became of a single access key, as owners read it.
_STATUSES_OF_KEYS = {RETIRED: "deleted", DEACTIVATED: "made inactive", ACTIVATED: "given back"}
_NOTHING = "-"


def plain(text: str) -> str:
    """``text`` for a place that escapes neither HTML nor JSON."""
    return html.escape(text.replace("\\", "/"))


def is_for_stock(action: Mapping[str, Any]) -> bool:
    """Whether the mail of ``action`` has a template of c7n-mailer, which shows every key of the resources.

    False if its Slack message has somebody else's template, which may read any key.
    """
    slack = action.get("slack_template", TEMPLATES["slack_template"])
    ours_or_stock = slack in STOCK or slack in OURS["slack_template"]
    return ours_or_stock and action.get("template", TEMPLATES["template"]) in STOCK


def rows(resources: Sequence[Mapping[str, Any]], action: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A flat row for each resource, all with the same keys in the same order.

    ``Tags`` are among them only where c7n-mailer looks for recipients there. ``slack_iam_users`` reads these rows too.
    """
    tagged = "resource-owner" in (*action.get("to", ()), *action.get("cc", ()))
    return [
        {**_row(resource), **({"Tags": resource.get("Tags") or []} if tagged else {})}
        for resource in resources
    ]


def _row(resource: Mapping[str, Any]) -> dict[str, str]:
    known: Mapping[str, Any] = resource.get(ANNOTATION) or {}
    notice = known.get("notice") or {}
    activity = (known.get("last_activity") or {}).get("time") or resource.get("PasswordLastUsed")
    findings = [each for each in known.get("findings") or () if each.get("id") != "iam-user"]
    if key := known.get("key") or {}:
        activity = {False: "never", None: "unknown"}.get(key.get("used"), key.get("used"))
    row = {
        "UserName": resource.get("UserName"),
        "Path": resource.get("Path"),
        **({"AccessKeyId": resource["AccessKeyId"]} if "AccessKeyId" in resource else {}),
        # who is spared has none
        "Deletion on or after": notice.get("deleted") if notice.get("group") else notice.get("day"),
        "What is known": "; ".join(known_texts(known, notice)),
        "Kind": _KINDS.get(str(known.get("kind")), known.get("kind")),
        "Findings": " ".join(
            str(finding.get("text")) for finding in findings if finding.get("severity") != "low"
        ),
        "Last seen": str(activity or "")[:10],
    }
    return {key: plain(str(value or _NOTHING)) for key, value in row.items()}


def known_texts(known: Mapping[str, Any], notice: Mapping[str, Any]) -> list[str]:
    """What became of the user, of its person's access, and what happened, as far as the message says it."""
    found = [str(notice[key]) for key in ("text", "was-exempt", "came-back") if notice.get(key)]
    for key in ("created", "used"):
        if text := (known.get(key) or {}).get("text"):
            found.append(str(text))
    for each in ((known.get("attempts") or {}).get("attempts") or ())[:1]:
        call = " ".join(str(each[key]) for key in ("service", "action") if each.get(key)) or "a call"
        found.append(f"still in use: {call} on {str(each.get('time'))[:16].replace('T', ' ')} UTC")
    state: Mapping[str, Any] = {}
    # what an announcement says of the user covers its access, too
    for key in ("outcome", "provisioning", *(() if notice.get("text") else ("identity-center",))):
        state = state or known.get(key) or {}
    if status := state.get("status") or state.get("state"):
        signs_in = {"user": state.get("username"), "permission set": state.get("permission-set")}
        said = [f"{name} {value}" for name, value in signs_in.items() if value]
        said += [str(state["reason"])] if state.get("reason") and not said else []
        told = _STATUSES_OF_KEYS.get(str(status), str(status).replace("-", " "))
        found.append(": ".join([told, *([", ".join(said)] if said else [])]))
    return found


_DELETION = (
    "On or after that day each user is deleted with everything attached: password, keys, certificates, MFA devices, "
    "policies. The column What is known says when its access stops. A user that is in use, that a role trusts, or "
    "whose person has no other access yet is skipped. People sign in through IAM Identity Center{start}; programs use "
    "a role."
)
_TEXTS = {
    ANNOUNCE: _DELETION,
    REMIND: _DELETION,
    INFORM: (
        "The column What is known says what became of each user, or who still uses it. What was deleted can't sign in "
        "or call AWS any more, and AWS can't give passwords and keys back. People sign in through IAM Identity Center"
        "{start}; programs use a role."
    ),
    DENIED: (
        "The column What is known says since when each user is denied everything. Nothing is deleted yet, "
        "and everything can be given back. People sign in through IAM Identity Center{start}; programs use a role."
    ),
    OVERDUE: (
        "The announced day of these users has come. The column What is known says why each is left alone. "
        "Being overdue deletes nothing, and this message comes again until they are moved. People sign in "
        "through IAM Identity Center{start}; programs use a role."
    ),
    CREATED: (
        "IAM users hold long-term credentials; AWS asks that people and programs use temporary ones. If you made it: "
        "people sign in through IAM Identity Center{start}, programs use a role; then delete the user. If nobody knows "
        "who did it, an account may be in the wrong hands: say so at once."
    ),
    USED: (
        "These users are kept for emergencies, and their use is an alarm. If there is no emergency that you know of, "
        "somebody may have their password or key: say so at once."
    ),
    ACCESS: "Sign in through IAM Identity Center{start} as the user in the column What is known.",
}
_ASK = {
    ANNOUNCE: " A user must stay? Ask for an exemption with a reason and an end before that day: {whom}.",
    REMIND: " A user must stay? Ask for an exemption with a reason and an end before that day: {whom}.",
    INFORM: " Something broke, or a user must stay? Write to {whom}.",
    DENIED: " Something stopped? Name the account and the user to {whom}, who gives it back.",
    OVERDUE: " A user must stay? Ask for an exemption with a reason and an end: {whom}.",
    CREATED: " It must stay? Ask for an exemption with a reason and an end: {whom}.",
    USED: " Nobody knows of it? Write to {whom}.",
    ACCESS: " For questions write to {whom}.",
}


#: The same of single access keys, which these steps can be about.
_OF_KEYS = {
    **dict.fromkeys(
        (ANNOUNCE, REMIND),
        "The column What is known says when each key is made inactive, and when it is deleted. Does nobody need a key? "
        "Do nothing. A key in use is left alone: move its program to a role by that day. An inactive key is given back "
        "on request until it is deleted. A deleted key can't come back: a new key has another id and another secret. "
        "Each key's user, and the user's other key, stay as they are.",
    ),
    INFORM: (
        "The column What is known says what became of each key. An inactive key is given back on request until it is "
        "deleted. A deleted key can't come back: a new key has another id and another secret. Each key's user, and the "
        "user's other key, stay as they are."
    ),
}
_ASK_OF_KEYS = " A key must stay, or something stopped? Name the account, the user and the key to {whom}."


def action_text(step: str, action: Mapping[str, Any], start_url: str = "", *, keys: bool = False) -> str:
    """``action_desc`` of a message: what happens, and what its reader can do. ``start_url``: where people sign in.

    ``keys``: it is about access keys.
    """
    start = action.get("start-url") or start_url
    text = (_OF_KEYS if keys else _TEXTS)[step].format(start=f" ({start})" if start else "")
    ask = _ASK_OF_KEYS if keys else _ASK[step]
    return plain(text + ask.format(whom=action.get("contact") or "your cloud team"))
