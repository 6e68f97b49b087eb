# SPDX-License-Identifier: Apache-2.0
"""Writes owners into accounts.yml and mailer.yml as edits of the text: all else stays, byte by byte. Pure.

Each result is loaded and compared with its intended content, so an edit that changes anything else is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from c7n_iamusers.organization.owners import OWNER
from c7n_iamusers.text.documents import NotInFormat
from c7n_iamusers.text.yaml_documents import read_yaml, yaml_nodes

EMAILS = "account_emails"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._+-]*@[A-Za-z0-9.-]+")


_BY_HAND = (
    "the owners can't be written without other changes, for instance because accounts share their vars by an "
    "anchor: write them by hand"
)


class NotEditable(ValueError):
    """The text can't be edited without other changes to its content."""


class _Edits:
    """Edits of ``text``. Each place is one of the original text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._found: list[tuple[int, int, str]] = []

    def replace(self, node: Any, new: str) -> None:
        self._found.append((node.start_mark.index, node.end_mark.index, new))

    def insert(self, index: int, new: str) -> None:
        self._found.append((index, index, new))

    def line_after(self, node: Any, *lines: str) -> None:
        """Puts ``lines`` below the line on which ``node`` ends."""
        end = self.text.find("\n", node.end_mark.index)
        whole = "".join(line + self._newline for line in lines)
        if end < 0:
            self.insert(len(self.text), self._newline + whole)
        else:
            self.insert(end + 1, whole)

    def line_before(self, node: Any, line: str) -> None:
        """Puts ``line`` above the one that begins with ``node``, with the same indentation."""
        begin, indent = node.start_mark.index - node.start_mark.column, " " * node.start_mark.column
        self.insert(begin, indent + line + self._newline)

    def result(self) -> str:
        """The text with all edits; those at one place stand in the order in which they were made."""
        parts, done = [], 0
        for begin, end, new in sorted(self._found, key=lambda each: each[0]):
            parts += [self.text[done:begin], new]
            done = end
        return "".join([*parts, self.text[done:]])


def with_owners(text: str, owners: Mapping[str, str]) -> str:
    """accounts.yml with ``vars.owner`` of each account. Raises NotEditable, or NotInFormat for invalid YAML."""
    before = read_yaml(text)
    accounts = [
        {**each, "vars": {**(each.get("vars") or {}), OWNER: owners[each["account_id"]]}}
        if each["account_id"] in owners
        else each
        for each in before["accounts"]
    ]
    edits = _Edits(text)
    for entry, said in zip(_pair(yaml_nodes(text), "accounts")[1].value, before["accounts"], strict=True):
        address = owners.get(said["account_id"])
        if address is not None and (said.get("vars") or {}).get(OWNER) != address:
            _set_owner(edits, entry, address)
    return _verified(edits.result(), {**before, "accounts": accounts})


def with_account_emails(text: str, owners: Mapping[str, str]) -> str:
    """mailer.yml with each account's owner in ``account_emails``, first; addresses that are there already stay.

    Raises NotEditable, or NotInFormat for invalid YAML.
    """
    before = read_yaml(text)
    if not isinstance(before, dict):
        raise NotEditable("it is no mapping of settings, such as queue_url")
    known = before.get(EMAILS) or {}
    if not isinstance(known, dict) or not all(isinstance(each, list) for each in known.values()):
        raise NotEditable(f"{EMAILS} must map each account id to a list of addresses: correct that first")
    if numbers := [key for key in known if not isinstance(key, str)]:
        raise NotEditable(
            f"{EMAILS} has the account id {numbers[0]} without quotes, for which c7n-mailer finds no address: put "
            "account ids in quotes"
        )
    missing = {key: address for key, address in owners.items() if address not in known.get(key, ())}
    if not missing:
        return text
    edits, root = _Edits(text), yaml_nodes(text)
    _add_emails(edits, root, missing)
    after = {**known, **{key: [address, *known.get(key, ())] for key, address in missing.items()}}
    return _verified(edits.result(), {**before, EMAILS: after})


def further_addresses(text: str, owners: Mapping[str, str]) -> dict[str, list[str]]:
    """Account id -> the addresses beside the owner's in a text that ``with_account_emails`` made."""
    known = read_yaml(text).get(EMAILS) or {}
    found = {key: [str(each) for each in known[key] if each != owners[key]] for key in owners if key in known}
    return {key: others for key, others in found.items() if others}


def _set_owner(edits: _Edits, entry: Any, address: str) -> None:
    key, value = _pair(entry, "vars")
    if key is None:
        number = _pair(entry, "account_id")[1]
        if number is None:  # it comes from a merge key
            raise NotEditable(_BY_HAND)
        if entry.flow_style:
            edits.insert(number.end_mark.index, f', "vars": {{"{OWNER}": {json.dumps(address)}}}')
        else:
            indent = " " * entry.start_mark.column
            edits.line_after(number, f"{indent}vars:", f"{indent}  {OWNER}: {_scalar(address)}")
    elif value.id != "mapping":  # nothing, or null
        edits.replace(value, f'{_space(value)}{{"{OWNER}": {json.dumps(address)}}}')
    elif (owner := _pair(value, OWNER)[1]) is not None:
        edits.replace(owner, _space(owner) + (json.dumps(address) if value.flow_style else _scalar(address)))
    else:
        _add(edits, key, value, OWNER, json.dumps(address) if value.flow_style else _scalar(address))


def _add_emails(edits: _Edits, root: Any, missing: Mapping[str, str]) -> None:
    key, value = _pair(root, EMAILS)
    lines = [f"  {json.dumps(each)}: [{_scalar(address)}]" for each, address in missing.items()]
    if key is None and not root.flow_style:
        edits.insert(len(edits.text), "" if edits.text.endswith("\n") else "\n")
        edits.insert(len(edits.text), "\n".join([f"{EMAILS}:", *lines, ""]))
    elif value is not None and value.id == "mapping":
        for account_id, address in missing.items():
            listed = _pair(value, account_id)[1]
            if listed is None:
                _add(edits, key, value, json.dumps(account_id), f"[{json.dumps(address)}]")
            elif listed.flow_style:
                comma = ", " if listed.value else ""
                edits.insert(listed.start_mark.index + 1, json.dumps(address) + comma)
            else:
                edits.line_before(listed, f"- {_scalar(address)}")
    elif key is not None:  # nothing, or null
        listed = ", ".join(
            f"{json.dumps(each)}: [{json.dumps(address)}]" for each, address in missing.items()
        )
        edits.replace(value, f"{_space(value)}{{{listed}}}")
    else:
        raise NotEditable(f"{EMAILS} is missing: add it by hand")


def _add(edits: _Edits, key: Any, mapping: Any, name: str, value: str) -> None:
    """A new first member of ``mapping``, which stands under ``key``, above the comments of the other members."""
    if mapping.flow_style:
        comma = ", " if mapping.value else ""
        quoted = name if name.startswith('"') else f'"{name}"'
        edits.insert(mapping.start_mark.index + 1, f"{quoted}: {value}{comma}")
    else:
        edits.line_after(key, f"{' ' * mapping.start_mark.column}{name}: {value}")


def _pair(mapping: Any, name: str) -> tuple[Any, Any]:
    """The nodes of the key ``name`` and its value; None twice where there is none."""
    return next((pair for pair in mapping.value if pair[0].value == name), (None, None))


def _scalar(address: str) -> str:
    return address if _PLAIN.fullmatch(address) else json.dumps(address)


def _space(node: Any) -> str:
    """What must stand before a value that replaces an empty one right behind the colon."""
    return " " if node.start_mark.index == node.end_mark.index else ""


def _verified(text: str, expected: Any) -> str:
    try:
        found = read_yaml(text)
    except NotInFormat:
        found = None
    if found != expected:
        raise NotEditable(_BY_HAND)
    return text
