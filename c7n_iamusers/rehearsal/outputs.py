# SPDX-License-Identifier: Apache-2.0
"""Reads what a c7n-org run and the mailer left behind.

c7n-org ends with 0 although a worker died or a policy failed to validate in it, so the files decide.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PolicyOutput:
    """``<step output>/<account name>/<region>/<policy>``."""

    directory: Path

    @property
    def ran(self) -> bool:
        """True where the policy came as far as selecting resources."""
        return (self.directory / "resources.json").exists()

    @property
    def user_names(self) -> set[str]:
        """The names of the users that the policy's filters let through."""
        return {resource["UserName"] for resource in self._load("resources.json")}

    def outcomes(self) -> dict[str, str]:
        """User name -> status of ``outcomes.json``."""
        return {row["user"]: row["status"] for row in self._load("outcomes.json")}

    def snapshots(self) -> set[str]:
        """The names of the users that have a snapshot."""
        files = (self.directory / "snapshots").glob("*.json")
        return {json.loads(path.read_text())["user"]["UserName"] for path in files}

    def unfinished_calls(self) -> list[str]:
        """Calls that the journal began and did not end, or ended as failed."""
        path = self.directory / "journal.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        begun = [_call(line) for line in lines if line["phase"] == "before"]
        ended = [_call(line) for line in lines if line["phase"] == "after" and line["result"] != "failed"]
        return sorted(set(begun) - set(ended))

    def _load(self, name: str) -> list[dict[str, Any]]:
        path = self.directory / name
        rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        return rows


def _call(line: dict[str, Any]) -> str:
    return f"{line['user']}: {line['operation']} {json.dumps(line['parameters'], sort_keys=True)}"


def mails(directory: Path) -> list[EmailMessage]:
    """The mails that the SMTP sink has received, oldest first."""
    files = sorted(directory.glob("*.eml"))
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
