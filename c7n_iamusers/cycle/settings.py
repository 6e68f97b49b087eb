# SPDX-License-Identifier: Apache-2.0
"""The settings of a workspace, ``iam-users.yml``: only what the accounts file does not say. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from c7n_iamusers.cycle.steps import APPROVABLE, STEPS
from c7n_iamusers.defaults import CLEAN_DAYS
from c7n_iamusers.text.documents import NotInFormat, as_text
from c7n_iamusers.text.validators import Shape, listing, one_of, text
from c7n_iamusers.text.wording import quoted
from c7n_iamusers.text.yaml_documents import read_yaml, yaml_nodes

#: The line of a key, and of a key in its value: ("roles", "reader"); 0 where that is not known.
LineOf = Callable[[str, str], int]
#: The name of the file in a workspace.
SETTINGS_FILE = "iam-users.yml"
#: Who runs c7n-mailer: somebody else, or the cycle.
ELSEWHERE, BY_CYCLE = "elsewhere", "cycle"
_MOST_DAYS = 365
#: Path and RoleName: IAM API reference, CreateRole.
_ROLE = r"([\w+=,.@-]+/)*[\w+=,.@-]{1,64}"
#: A path, below the workspace unless it begins with a slash. A command would take a dash for an option.
_PATH = r"[^-\s\x00-\x1f{}][^\x00-\x1f{}]*"


@dataclass(frozen=True)
class Roles:
    """The names of roles, after their path if they have one: three of each account, and ``provisioner``.

    ``provisioner``: who changes Identity Center, in the account of the variable ``identity_center_role``; empty where
    that role itself does.
    """

    reader: str = "IamUsersReader"
    remover: str = "IamUsersRemover"
    restorer: str = "IamUsersRestorer"
    provisioner: str = ""


@dataclass(frozen=True)
class Settings:
    """What the file says, with the defaults.

    ``accounts``, ``policies``: paths from the workspace. ``output``: a path, or ``s3://BUCKET/PREFIX``. ``provision``:
    whether people get access through Identity Center. ``steps``: their names; None for all whose policies there are.
    ``approve``: the steps that wait for an approval; None for both in the first wave. ``clean_days``: see
    CLEAN_DAYS. ``mailer``: ELSEWHERE or BY_CYCLE.
    """

    organization: str = ""
    accounts: str = "accounts.yml"
    policies: str = "policies"
    output: str = "output"
    roles: Roles = field(default_factory=Roles)
    provision: bool = True
    steps: tuple[str, ...] | None = None
    approve: tuple[str, ...] | None = None
    clean_days: float = CLEAN_DAYS
    mailer: str = ELSEWHERE


def _days(value: Any, place: str) -> None:
    if type(value) not in (int, float) or not 0 <= value <= _MOST_DAYS:
        raise ValueError(f"{place} must be a number of days from 0 to {_MOST_DAYS}, without quotes")


def _output(value: Any, place: str) -> None:
    shape = text(1_000, r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s\x00-\x1f{}]*)?")
    (shape if str(value).startswith("s3:") else text(1_000, _PATH, 1))(value, place)


def _names(known: tuple[str, ...]) -> Shape:
    def check(value: Any, place: str) -> None:
        listing(one_of(*known), len(known))(value, place)
        if len(set(value)) != len(value):
            raise ValueError(f"{place} names a step twice")

    return check


_PATHS = text(1_000, _PATH, 1)
_ROLE_NAME = text(512, _ROLE)
#: Each key, and what its value must be; or its own keys.
_SHAPES: Mapping[str, Shape | Mapping[str, Shape]] = {
    "organization": text(34, "o-[a-z0-9]{10,32}"),
    "accounts": _PATHS,
    "policies": _PATHS,
    "output": _output,
    "roles": {each.name: _ROLE_NAME for each in fields(Roles)},
    "provision": one_of(True, False),
    "steps": _names(tuple(each.name for each in STEPS)),
    "approve": _names(APPROVABLE),
    "waves": {"clean-days": _days},
    "mailer": one_of(ELSEWHERE, BY_CYCLE),
}


def read_settings(content: bytes | str) -> Settings:
    """The settings in the file. Raises NotInFormat, with the line, for what it does not know or can't use."""
    data = read_yaml(content)
    if data is None:
        return Settings()
    if not isinstance(data, dict):
        raise NotInFormat(
            1, f"is {type(data).__name__} in YAML, and not settings, such as accounts: accounts.yml"
        )
    line_of = _lines(as_text(content))
    for key, value in data.items():
        _check(key, value, line_of)
    days = data.pop("waves", {}).get("clean-days", CLEAN_DAYS)
    lists = {name: tuple(data.pop(name)) for name in ("steps", "approve") if name in data}
    given: dict[str, Any] = {**data, **lists, "roles": Roles(**data.get("roles", {}))}
    found = Settings(**given, clean_days=days)
    if fault := next(_contradictions(found), None):
        raise NotInFormat(line_of(fault[0], ""), fault[1])
    return found


def _check(key: Any, value: Any, line_of: LineOf) -> None:
    """Raises NotInFormat for a key that is unknown, and for a value that can't be used."""
    if key not in _SHAPES:
        raise NotInFormat(line_of(str(key), ""), _unknown(str(key)))
    shape = _SHAPES[key]
    if callable(shape):
        return _checked(shape, value, key, line_of(key, ""))
    if not isinstance(value, dict):
        raise NotInFormat(line_of(key, ""), f"{key} must have {', '.join(shape)}, and is {quoted(value)}")
    for inner, of_inner in value.items():
        if inner not in shape:
            told = f"{key} has {quoted(inner)}, and knows {', '.join(shape)}"
            raise NotInFormat(line_of(key, str(inner)), told)
        _checked(shape[inner], of_inner, f"{key}.{inner}", line_of(key, inner))


def _checked(shape: Shape, value: Any, place: str, line: int) -> None:
    try:
        shape(value, place)
    except ValueError as error:
        raise NotInFormat(line, str(error)) from None


def _contradictions(found: Settings) -> Iterator[tuple[str, str]]:
    """The key, and what contradicts another one."""
    if "provision" in (found.steps or ()) and not found.provision:
        yield "steps", "steps names provision, and provision is false: correct one of them"
    for name in found.approve or ():
        if found.steps is not None and name not in found.steps:
            yield "approve", f"approve names {name}, which is not among the steps: correct one of them"


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key, _SHAPES, 1)
    meant = f"did you mean {close[0]}?" if close else f"it knows {', '.join(_SHAPES)}"
    return f"there is no setting {quoted(key)}: {meant} A variable of policies belongs into the accounts file"


def _lines(content: str) -> LineOf:
    found: dict[tuple[str, str], int] = {}
    for key, value in yaml_nodes(content).value:
        found[key.value, ""] = key.start_mark.line + 1
        for inner, _ in value.value if value.id == "mapping" else ():
            found[key.value, inner.value] = inner.start_mark.line + 1
    return lambda key, inner: found.get((key, inner), 0)
