# SPDX-License-Identifier: Apache-2.0
"""Runs of the actions on users, and what they leave behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from c7n.policy import Policy

from tests.policies import policy
from tests.used_permissions import run_within_permissions

NAME = "under-test"


def acting(action: str | dict[str, Any], output: Path | None, *exempt: dict[str, Any], **data: Any) -> Policy:
    """A policy that does ``action`` to all users but the exempt."""
    filters = [{"type": "unnecessary", "exempt": list(exempt) or "none"}]
    return policy({"filters": filters, "actions": [action], **data}, output)


def delete(output: Path, **options: Any) -> list[dict[str, Any]]:
    """Run ``composite-delete`` with ``options``; the resources as later actions see them."""
    found: list[dict[str, Any]] = run_within_permissions(
        acting({"type": "composite-delete", **options}, output)
    )
    return found


def outcomes(output: Path) -> dict[str, dict[str, Any]]:
    """User name -> row of ``outcomes.json``."""
    return {row["user"]: row for row in json.loads((output / NAME / "outcomes.json").read_text())}


def journal(output: Path) -> list[dict[str, Any]]:
    """The lines of the journal about calls and outcomes."""
    lines = [json.loads(line) for line in (output / NAME / "journal.jsonl").read_text().splitlines()]
    return [line for line in lines if line["phase"] not in ("snapshot", "quarantine", "decision")]


def user_names(iam: Any) -> list[str]:
    """All users of the account."""
    pages = iam.get_paginator("list_users").paginate()
    return [user["UserName"] for page in pages for user in page["Users"]]
