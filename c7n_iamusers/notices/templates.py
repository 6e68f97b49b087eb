# SPDX-License-Identifier: Apache-2.0
"""The templates that messages name, this package's and c7n-mailer's own; and names that are a mistake. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

#: The options in which c7n-mailer finds the name of a template -> the name that it takes without the option
#: (c7n_mailer/utils_email.py, slack_delivery.py).
TEMPLATES = {"template": "default", "slack_template": "slack_default"}
#: The option -> the templates of this package for it, in ``mailer_templates``, without the ending ``.j2``.
OURS: Mapping[str, tuple[str, ...]] = {
    "template": (
        "iam-users-created.html",
        "iam-users-deleted.html",
        "iam-users-denied.html",
        "iam-users-digest.html",
        "iam-users-flagged.html",
        "iam-users-overdue.html",
        "iam-users-attempted.html",
        "iam-users-replaced.html",
        "iam-users-used.html",
        "iam-users-your-access.html",
        "iam-keys-flagged.html",
        "iam-keys-changed.html",
    ),
    "slack_template": ("slack_iam_users",),
}
#: How the names of those that show access keys begin. The others show users.
_OF_KEYS = "iam-keys-"
#: Those of c7n-mailer, which show a message's ``violation_desc``, its resources key by key, and ``action_desc``; but
#: ``default``, for plain text, shows only the names of resources.
STOCK = frozenset({"default", "default.html", "slack_default"})
#: Below the folders of templates. c7n-mailer adds ``.j2``, but not to a name that begins with a slash: with such a name
#: it evaluates any file below its working directory, such as one that an account's output has.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
#: The least likeness of a misspelt name, as difflib counts it.
_ALIKE = 0.85


def template_fault(action: Mapping[str, Any]) -> str:
    """What is wrong with the names of templates in ``action``, whose variables are filled in; empty if nothing is."""
    for key in TEMPLATES:
        name = action.get(key, "default")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return (
                f"{key} is {name!r}, with which c7n-mailer could evaluate another file than a template of yours: give "
                "the name of one, in letters, digits and _ . - /, without the ending .j2"
            )
    return misspelt(action)


def misspelt(action: Mapping[str, Any]) -> str:
    """Which template in ``action`` is a misspelt one of this package, and the right name; empty if none is.

    c7n-mailer sends a mail without text if it doesn't find the template. A name with a variable is not judged, and
    a name of ours with one more word, such as ``iam-users-flagged-de.html``, is a template of somebody else.
    """
    for key in TEMPLATES:
        name = action.get(key)
        if not isinstance(name, str) or "{" in name or name in OURS[key]:
            continue
        if right := _meant(name, key):
            return (
                f"{key} is {name!r}, which is no template of this package, and c7n-mailer sends an empty message where "
                f"it finds none: write {right}; give a template of your own a name that is less like it"
            )
    return ""


def of_another_resource(action: Mapping[str, Any], about_keys: bool) -> str:
    """Which template of this package in ``action`` shows users where the policy is on access keys, or the other way
    round, so that the mail would say nothing of them; empty if none does. Slack's template shows both."""
    name = action.get("template")
    if name not in OURS["template"] or name.startswith(_OF_KEYS) == about_keys:
        return ""
    fitting = [each for each in OURS["template"] if each.startswith(_OF_KEYS) == about_keys]
    shows, policy = ("users", "aws.iam-access-key") if about_keys else ("access keys", "aws.iam-user")
    return f"template is {name!r}, which shows {shows}, and the policy is on {policy}: write {' or '.join(fitting)}"


def _meant(name: str, key: str) -> str:
    """The template of ours that ``name`` is a misspelling of; empty if it is another name."""
    every = {each: option for option, names in OURS.items() for each in names}
    if name in every:
        return OURS[key][0]  # a mail's for Slack, or the other way round
    bare = name.lower().removesuffix(".j2")
    if bare not in every and any(_words(bare) > _words(each) for each in every):
        return ""
    (right,) = get_close_matches(bare, OURS[key], 1, _ALIKE) or ("",)
    return right


def _words(name: str) -> frozenset[str]:
    return frozenset(re.split(r"[-_./]+", name))
