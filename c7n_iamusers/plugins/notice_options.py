# SPDX-License-Identifier: Apache-2.0
"""The options of ``notify-owners``: their schema, and what its steps need and refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n.exceptions import PolicyExecutionError, PolicyValidationError

from c7n_iamusers import defaults
from c7n_iamusers.notices import delivery
from c7n_iamusers.notices.stock_rows import ANNOUNCE, CREATED, DENIED, INFORM, OVERDUE, REMIND, USED
from c7n_iamusers.plugins import access_keys, policy_checks, safeguarded_action, second_contacts
from c7n_iamusers.plugins.created_credentials import CreatedCredentials
from c7n_iamusers.plugins.identity_center import require_keys
from c7n_iamusers.plugins.notice_steps import Announce, Denied, Inform, Remind, Step
from c7n_iamusers.plugins.overdue_step import Overdue
from c7n_iamusers.plugins.people_of_users import EMAIL_DOMAINS
from c7n_iamusers.plugins.recorded_notify import notify_schema
from c7n_iamusers.plugins.run_outputs import NOTICES
from c7n_iamusers.plugins.use_step import Used

#: For these steps a message too many is better than none, and their messages announce no deletion.
AT_ONCE = (CREATED, USED)
#: These steps tell what has happened, and announce no day.
TOLD_AFTER = (INFORM, DENIED)
_WITHOUT_DAYS = (*TOLD_AFTER, OVERDUE, USED)
#: Recipients that a digest can't have: c7n-mailer looks them up by the account, or by a user's tags.
_LOOKED_UP = ("account-emails", "resource-owner", "slack://owners")
_COPIES = ("cc", "cc_from", "cc_manager", "owner_absent_contact")
_OF_OVERDUE = ("every", "escalate-after", "escalate-to")
#: The options of the later steps, for the steps that predict what these will do.
OF_LATER: Mapping[str, Any] = {
    **{key: safeguarded_action.OPTIONS[key] for key in ("active-within", "trusted-by-role", "require")},
    **safeguarded_action.INCLUDE_MANAGED,
}


def schema() -> dict[str, Any]:
    """The schema of the action."""
    number = {"minimum": 0, "maximum": policy_checks.LARGEST}
    options = {
        "notices": NOTICES,
        "step": {"enum": [ANNOUNCE, REMIND, OVERDUE, DENIED, INFORM, CREATED, USED]},
        "days": policy_checks.or_variable({"type": "integer", **number}),
        "email-domains": EMAIL_DOMAINS,
        "delivery": {"enum": [delivery.UNCHECKED]},
        "digest": {"type": "boolean"},
        "brownout-after": policy_checks.or_variable({"type": "number", **number}),
        "quarantined-for": policy_checks.or_variable({"type": "number", **number}),
        "again": policy_checks.or_variable({"type": "integer", **number}),
        "every": policy_checks.or_variable({"type": "number", **number, "minimum": 1}),
        "escalate-after": policy_checks.or_variable({"type": "integer", **number, "minimum": 1}),
        "of": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"},
            "minItems": 1,
            "uniqueItems": True,
        },
        "escalate-to": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
        **OF_LATER,
    }
    found = notify_schema("notify-owners", options)
    informing = {"properties": {"step": {"enum": [*_WITHOUT_DAYS]}}}
    found["anyOf"] = [
        {"required": [*form["required"], "notices", "step", *days], **further}
        for form in found["anyOf"]
        for days, further in ((["days"], {}), ([], informing))
    ]
    return found


def require_days(action: Any) -> None:
    """Raises PolicyValidationError where ``action`` lacks what its step needs, or has days for a step without any."""
    without = action.data.get("step") in _WITHOUT_DAYS
    needed = ("notices", "step", *(() if without else ("days",)), "transport")
    require_keys(action.manager, action.type, action.data, needed)
    if without and "days" in action.data:
        raise PolicyValidationError(
            f"policy {action.policy_name}: {action.type}: step: {action.data['step']} has no day: remove days"
        )


def check_steps(action: Any) -> None:
    """Raises PolicyValidationError for options of other steps, missing exemptions, or a topic."""
    data, told = action.data, f"policy {action.policy_name}: {action.type}"
    own = (
        ((ANNOUNCE, REMIND, OVERDUE), OF_LATER),
        ((ANNOUNCE,), ("brownout-after",)),
        ((REMIND,), ("again",)),
        ((OVERDUE,), _OF_OVERDUE),
        (TOLD_AFTER, ("of",)),
    )
    for steps, options in own:
        given = sorted({*options} & data.keys())
        if given and data["step"] not in steps:
            raise PolicyValidationError(
                f"{told}: {', '.join(given)} has no meaning with step: {data['step']}: remove it, or use it with "
                f"step: {' or '.join(steps)}"
            )
    if ("escalate-after" in data) > ("escalate-to" in data):
        raise PolicyValidationError(
            f"{told}: escalate-after names nobody: add escalate-to, a list of addresses or sources"
        )
    second_contacts.check(data, told)
    if action.manager.type == access_keys.RESOURCE:
        _check_keys(data, told)
    days, again = data.get("days"), data.get("again")
    if isinstance(days, int) and isinstance(again, int) and again >= days:
        raise PolicyValidationError(
            f"{told}: again: {again} is not after the reminder {days} days before: lower it"
        )
    days, dark, quiet = (data.get(key, 0) for key in ("days", "brownout-after", "quarantined-for"))
    if dark and all(isinstance(each, int | float) for each in (days, dark, quiet)) and dark > days - quiet:
        raise PolicyValidationError(
            f"{told}: a brownout after {dark} days has no effect: by then the users are denied everything, {quiet} "
            f"days before day {days}: lower brownout-after"
        )
    _check_of(action, told)
    if data.get("digest"):
        _check_digest(action, told)
    _require_known_delivery(action)
    _require_exemptions(action)


#: The steps that can be about access keys, and the options that can't.
_OF_KEYS = (ANNOUNCE, REMIND, INFORM)
_NOT_OF_KEYS = ("trusted-by-role", "require", "brownout-after", "digest")


def _check_keys(data: Mapping[str, Any], told: str) -> None:
    """Raises PolicyValidationError for a step or an option that has no meaning for access keys."""
    if data["step"] not in _OF_KEYS:
        raise PolicyValidationError(
            f"{told}: step: {data['step']} is about users; about access keys are {', '.join(_OF_KEYS)}"
        )
    if given := [each for each in _NOT_OF_KEYS if each in data]:
        raise PolicyValidationError(f"{told}: {', '.join(given)} has no meaning for access keys: remove it")


def _check_of(action: Any, told: str) -> None:
    """Raises PolicyValidationError for policies that a message can't report, or recipients that it can't have."""
    data = action.data
    if action.policy_name in data.get("of", ()):
        raise PolicyValidationError(f"{told}: of names the policy itself: leave of out, or name others")
    if "of" in data and "resource-owner" in (*data.get("to", ()), *data.get("cc", ())):
        raise PolicyValidationError(
            f"{told}: outcomes have no tags, in which c7n-mailer looks for resource-owner: name the owner in to, or "
            "leave of out, and let each policy tell what it did"
        )


def _check_digest(action: Any, told: str) -> None:
    """Raises PolicyValidationError for what a digest can't send, or would send too late."""
    data = action.data
    if data["step"] in AT_ONCE:
        raise PolicyValidationError(
            f"{told}: step: {data['step']} is told at once, and a digest comes later: remove digest"
        )
    given = [each for each in _LOOKED_UP if each in data.get("to", ())]
    if given := [*given, *(key for key in _COPIES if key in data)]:
        raise PolicyValidationError(
            f"{told}: digest: true writes only to addresses, over several accounts: remove {', '.join(given)}, and "
            "name them in to"
        )


def make_step(action: Any, event: Any) -> Step:
    """The step of ``action``. Raises PolicyExecutionError for a blank variable in its numbers or addresses."""
    data = action.data
    if data["step"] == INFORM:
        return Inform(action.policy_name, data.get("quarantined-for"))
    if data["step"] == DENIED:
        return Denied(action.policy_name, data.get("quarantined-for"))
    if data["step"] == USED:
        return Used(event)
    if data["step"] == OVERDUE:
        every = data.get("every", defaults.OVERDUE_EVERY)
        after = data.get("escalate-after", defaults.OVERDUE_ESCALATE_AFTER)
        return Overdue(every, after, second_contacts.addresses(action))
    policy_checks.check_numbers(action, PolicyExecutionError)
    days, quiet = data["days"], data.get("quarantined-for")
    if data["step"] == CREATED:
        return CreatedCredentials(days, event, data.get("email-domains", ()))
    if data["step"] == ANNOUNCE:
        return Announce(days, quiet, data.get("brownout-after"))
    return Remind(days, quiet, data.get("again"))


def _require_known_delivery(action: Any) -> None:
    """Raises PolicyValidationError for a topic: nobody can read whether its messages were delivered."""
    topic = action.data["transport"].get("type") == "sns"
    if topic and action.data["step"] not in AT_ONCE and "delivery" not in action.data:
        raise PolicyValidationError(
            f"policy {action.policy_name}: {action.type}: nothing tells whether a message to an SNS topic reached "
            f"anybody: use a queue, or write delivery: {delivery.UNCHECKED}"
        )


def _require_exemptions(action: Any) -> None:
    """Raises PolicyValidationError if the policy states no exemptions; an alarm is about those alone."""
    if action.data.get("step") != USED:
        policy_checks.require_exemptions(action.manager, action.type)
    elif not any(each.type == "alarm" for each in action.manager.filters):
        raise PolicyValidationError(
            f"policy {action.policy_name}: {action.type}: step: {USED} needs the filter alarm at the top level of "
            "filters: add '- type: alarm' with exempt-from"
        )
