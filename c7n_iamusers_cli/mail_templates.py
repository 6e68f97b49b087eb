# SPDX-License-Identifier: Apache-2.0
"""Checks with c7n-mailer's own code that it finds and renders the templates that policies name.

Without a template, c7n-mailer logs an error, sends a message with an empty body, and exits with 0.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import c7n_iamusers
from c7n_iamusers.execution.given import parsed_file
from c7n_iamusers.notices.stock_rows import ANNOTATION, is_for_stock, rows
from c7n_iamusers.notices.templates import OURS, TEMPLATES, template_fault
from c7n_iamusers.organization.readiness import HOLE, OK, UNKNOWN, Check, Target, filled_in
from c7n_iamusers.text.yaml_documents import read_yaml

if TYPE_CHECKING:
    from jsonschema import ValidationError

#: The directory of the templates that come with the package.
SHIPPED = Path(c7n_iamusers.__file__).parent / "mailer_templates"
#: What the templates of this package import.
_PARTS = "iam-users-parts"
_PLACE, _NAME = "organization", "templates"
_ACTIONS = ("notify", "notify-owners", "notify-people")
#: The steps that announce a day, which their mails must give.
_OF_A_DAY = ("announce", "remind")
_DAY = "2030-01-31"
#: A user with everything that a message of ours can contain.
_SAMPLE: Mapping[str, Any] = {
    "UserName": "sample.user",
    "UserId": "AIDASAMPLE",
    "Arn": "arn:aws:iam::111122223333:user/sample.user",
    "Path": "/",
    "CreateDate": "2020-01-01T00:00:00+00:00",
    "Tags": [],
    ANNOTATION: {
        "kind": "human",
        "replacement": ["identity-center"],
        "findings": [{"id": "unused", "severity": "high", "text": "A sample of a finding."}],
        "last_activity": {"time": "2025-01-01T00:00:00+00:00"},
        "attachments": {"access-key": 1},
        "notice": {
            "announced": "2030-01-01",
            "day": _DAY,
            "group": "goes",
            "text": f"deleted on {_DAY}",
            "deleted": _DAY,
            "overdue": 1,
        },
        "created": {"event": "CreateUser", "text": "CreateUser by sample"},
        "attempts": {
            "state": "attempted",
            "attempts": [{"time": "2025-01-01T00:00:00+00:00", "service": "s3", "action": "ListBuckets"}],
        },
        "provisioning": {
            "status": "provisioned",
            "username": "sample@example.com",
            "permission-set": "Sample",
            "start-url": "https://d-sample.awsapps.com/start",
            "region": "us-east-1",
        },
        "outcome": {"status": "skipped", "reason": "a sample of a reason"},
    },
}


def folders(templates: str | None) -> tuple[str, ...]:
    """The folders that c7n-mailer searches, in its order (``main`` in c7n_mailer/cli.py). ``templates``: its ``-t``.

    ``.`` is the working directory. Raises ModuleNotFoundError if c7n-mailer is not installed.
    """
    from c7n_mailer import cli

    beside = os.path.dirname(os.path.abspath(cli.__file__))
    found = [
        os.path.join(beside, "msg-templates"),
        os.path.abspath(os.path.join(beside, "..", "msg-templates")),
        os.path.abspath("."),
    ]
    if templates:
        found.append(os.path.abspath(os.path.expanduser(os.path.expandvars(templates))))
    return tuple(found)


@dataclass(frozen=True)
class _Use:
    """A template that an action of a policy names. ``action``: with the variables of an account filled in."""

    policy: Mapping[str, Any]
    action: Mapping[str, Any]
    key: str

    @property
    def name(self) -> str:
        return str(self.action.get(self.key, TEMPLATES[self.key]))


def checks(
    mailer: Path, templates: str | None, policies: Sequence[Mapping[str, Any]], found: Sequence[Target]
) -> Iterator[Check]:
    """Each template that ``policies`` name in the accounts ``found``, rendered with a message about a sample user.

    ``mailer``: c7n-mailer's configuration. ``templates``: its option ``-t``.
    """
    try:
        searched = folders(templates)
    except ModuleNotFoundError as error:
        told = f"not checked: c7n-mailer is not installed here ({error})"
        yield Check(_PLACE, _NAME, UNKNOWN, told, "run preflight in the environment of c7n-mailer")
        return
    yield from refused_by_mailer(mailer)
    uses = [*_uses(policies, found)]
    yield from _unreachable(mailer, uses)
    faults: dict[tuple[str, str], dict[str, None]] = {}
    well: dict[str, str] = {}
    for use in uses:
        fault, remedy = _fault(use, searched)
        if fault:
            faults.setdefault((fault, remedy), {})[str(use.policy.get("name"))] = None
        else:
            well[use.name] = os.path.dirname(_files(use.name, searched)[0])
    for (fault, remedy), names in faults.items():
        of = f"{'policy' if len(names) == 1 else 'policies'} {', '.join(names)}"
        yield Check(_PLACE, _NAME, HOLE, f"{of}: {fault}", remedy)
    if well and not faults:
        yield Check(_PLACE, _NAME, OK, "; ".join(f"{name} in {place}" for name, place in well.items()))


def names(policies: Iterable[Mapping[str, Any]], found: Sequence[Target]) -> list[str]:
    """The templates that ``policies`` name in the accounts ``found``, each once."""
    return sorted({use.name for use in _uses(policies, found)})


def refused_by_mailer(mailer: Path) -> Iterator[Check]:
    """What c7n-mailer itself refuses."""
    from c7n_mailer.cli import CONFIG_SCHEMA
    from jsonschema import Draft7Validator

    config = _configuration(mailer)
    if config is None:
        return
    for error in Draft7Validator(CONFIG_SCHEMA).iter_errors(config):
        where = "/".join(map(str, error.absolute_path)) or "the whole"
        told = f"{mailer}: c7n-mailer does not start with it: {where}: {_said(error)}"
        yield Check(_PLACE, "mailer configuration", HOLE, told, f"correct {mailer}")


def _said(error: ValidationError) -> str:
    """What is wrong, without the value, which may be a password. For keys, jsonschema names no values."""
    if error.validator in ("additionalProperties", "required"):
        return str(error.message)[:500]
    return f"its value is not what the schema allows ({error.validator}: {json.dumps(error.validator_value)[:200]})"


def _uses(policies: Iterable[Mapping[str, Any]], found: Sequence[Target]) -> Iterator[_Use]:
    """Each template of each action once, even if several accounts have it."""
    for policy in policies:
        seen = set[tuple[int, str, str]]()
        actions = [each for each in policy.get("actions") or () if isinstance(each, Mapping)]
        for at, data in enumerate(actions):
            if data.get("type") not in _ACTIONS:
                continue
            for action in [filled_in(data, target) for target in found] or [data]:
                for key in TEMPLATES:
                    use = _Use(policy, action, key)
                    if _is_used(use) and (at, key, use.name) not in seen:
                        seen.add((at, key, use.name))
                        yield use


def _is_used(use: _Use) -> bool:
    return use.key == "template" or use.key in use.action or bool(_slack_recipients(use.action))


def _slack_recipients(action: Mapping[str, Any]) -> list[str]:
    recipients = [str(each) for each in action.get("to") or ()]
    if action.get("type") == "notify-people" and "slack_template" in action:
        recipients.append("slack://the address of each person")
    return [each for each in recipients if each.startswith(("slack://", "https://hooks.slack.com/"))]


def _unreachable(mailer: Path, uses: Iterable[_Use]) -> Iterator[Check]:
    """Slack recipients that c7n-mailer can't post to as configured: it says so only in its log, or not at all.

    Without a token for a person, it fails each time after the mail, and then sends the mail again
    (``slack_delivery.py``).
    """
    config = _configuration(mailer)
    if not isinstance(config, Mapping):
        return
    found: dict[str, dict[str, None]] = {}
    for use in uses:
        for each in _slack_recipients(use.action):
            by_webhook = each.startswith("slack://webhook/#")
            needed = "slack_webhook" if by_webhook else "slack_token" if each.startswith("slack://") else ""
            if needed and not config.get(needed):
                found.setdefault(needed, {})[each] = None
    for needed, recipients in found.items():
        told = f"{mailer} has no {needed}, without which c7n-mailer reaches nobody at {', '.join(recipients)}"
        yield Check(
            _PLACE, "mailer configuration", HOLE, told, f"write {needed}, or leave out these recipients"
        )


def _configuration(mailer: Path) -> Any:
    """c7n-mailer's; None if it can't be read, which the check of its queue reports."""
    try:
        return parsed_file(mailer, read_yaml)
    except ValueError:
        return None


def _files(name: str, searched: Sequence[str]) -> list[str]:
    """The files of a template in c7n-mailer's order. It takes the first."""
    return [
        file for each in dict.fromkeys(searched) if os.path.isfile(file := os.path.join(each, f"{name}.j2"))
    ]


def _fault(use: _Use, searched: Sequence[str]) -> tuple[str, str]:
    """What is wrong with a template, and what to do; both empty if nothing is."""
    if fault := template_fault(use.action):
        return fault, "correct the name in the policy, or in vars of the accounts file"
    template = f"{use.key} {use.name}"
    places = ", ".join(each if os.path.isdir(each) else f"{each} (not there)" for each in searched)
    files = _files(use.name, searched)
    if not files:
        what = "sends a mail with an empty body" if use.key == "template" else "posts nothing"
        return (
            f"{template}: there is no file {use.name}.j2 in the folders that c7n-mailer searches: {places}. It then "
            f"{what}, and ends without an error",
            "correct the name, or give the folder that has the template as -t to c7n-mailer and as "
            "--mailer-templates to preflight; the templates of this package are there once it is installed beside "
            "c7n-mailer",
        )
    if fault := _other_texts(use, files) or _other_parts(use, searched):
        return f"{template}: {fault}", "give a template of yours another name, or install this package again"
    if fault := _unrendered(use, searched):
        told = f"{template}, which is {files[0]}, of the folders {places}: {fault}"
        return told, f"correct {files[0]}, or name another template"
    return "", ""


def _other_texts(use: _Use, files: Sequence[str]) -> str:
    """Which unread file of the same name has another text."""
    first, *others = files
    if use.name in OURS[use.key]:
        others.append(str(SHIPPED / f"{use.name}.j2"))
    try:
        text = Path(first).read_bytes()
        ignored = [other for other in others if Path(other).read_bytes() != text]
    except OSError as error:
        return f"it can't be read: {error}"
    return f"c7n-mailer reads {first}, and never {ignored[0]}, which has another text" if ignored else ""


def _other_parts(use: _Use, searched: Sequence[str]) -> str:
    """The same for what our templates import. Without it, they don't render."""
    parts = _files(_PARTS, searched) if use.name in OURS[use.key] else []
    shipped = SHIPPED / f"{_PARTS}.j2"
    if parts and Path(parts[0]).read_bytes() != shipped.read_bytes():
        return f"it imports {parts[0]}, and never {shipped}, which has another text"
    return ""


def _is_about_users(use: _Use) -> bool:
    return str(use.policy.get("resource")).removeprefix("aws.") == "iam-user"


def _unrendered(use: _Use, searched: Sequence[str]) -> str:
    """Why c7n-mailer can't make a message from a template; empty if it can."""
    from c7n_mailer.utils import get_jinja_env, get_rendered_jinja

    log, said = logging.Logger("mailer"), _Said()
    log.addHandler(said)
    message = _message(use)
    channel = "#sample" if use.key == "slack_template" else ["sample@example.com"]
    default = TEMPLATES[use.key]
    try:
        if not _is_about_users(use):  # a message about other resources has other keys
            get_jinja_env(list(searched)).get_template(f"{use.name}.j2")
            return ""
        text = get_rendered_jinja(
            channel, message, message["resources"], log, use.key, default, list(searched)
        )
    # A template may raise anything.
    except Exception as error:  # noqa: BLE001
        return f"c7n-mailer can't render it: {type(error).__name__}: {error}"
    if text is None:
        return f"c7n-mailer can't read it: {'; '.join(said.texts)}"
    return _fault_of_text(use, text)


def _fault_of_text(use: _Use, text: str) -> str:
    if not _visible_text(text):
        return "it renders an empty message"
    if use.key == "slack_template":
        try:
            json.loads(text, strict=False)
        except ValueError as error:
            return f"it renders no JSON, which Slack refuses: {error}"
    elif use.action.get("step") in _OF_A_DAY and use.name == TEMPLATES["template"]:
        return (
            "c7n-mailer's own default, for plain text, says neither the day nor what happens: name "
            "iam-users-flagged.html, or c7n-mailer's own default.html"
        )
    return ""


def _message(use: _Use) -> dict[str, Any]:
    """A message as our actions send it, with all that c7n-mailer's own templates show."""
    told = {"violation_desc": f"1 IAM user is to be deleted on {_DAY}", "action_desc": "It is deleted."}
    action = {**told, **use.action, "part": 1, "parts": 1, "users": 1}
    resources: list[Any] = [dict(_SAMPLE)]
    if is_for_stock(action):
        resources = rows(resources, action)
    return {
        "account": "sample",
        "account_id": "111122223333",
        "region": "us-east-1",
        "execution_start": 1_900_000_000,
        "policy": dict(use.policy),
        "action": action,
        "resources": resources,
    }


class _Said(logging.Handler):
    """Keeps what c7n-mailer logs."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a record, in one line."""
        self.texts.append(" ".join(record.getMessage().split()))


class _Text(HTMLParser):
    """The text that a mail program shows."""

    _HIDDEN = frozenset({"head", "script", "style", "title"})

    def __init__(self) -> None:
        super().__init__()
        self._hidden: list[str] = []
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Begin what is not shown."""
        if tag in self._HIDDEN:
            self._hidden.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """End what is not shown."""
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        if not self._hidden:
            self.parts.append(data)


def _visible_text(text: str) -> str:
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts).strip()
