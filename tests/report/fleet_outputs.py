# SPDX-License-Identifier: Apache-2.0
"""Outputs as runs of custodian and c7n-org leave them, without running any."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from c7n_iamusers.evidence.seen_users import EXEMPT, FLAGGED, SEEN, SeenUser, SeenUsers
from c7n_iamusers.exemptions import ExemptionRule, parse_rules
from c7n_iamusers.reasons import Reason

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
FLAG, DELETE = "iam-users-flag", "iam-users-delete"
RULE = {"user": "git-*", "reason": "CodeCommit", "expires": "2999-06-30", "owner": "platform@example.com"}


def at(days: float) -> str:
    """So many days before now."""
    return (NOW - timedelta(days=days)).isoformat()


def finding(id_: str = "iam-user", severity: str = "medium") -> dict[str, str]:
    return {"id": id_, "severity": severity, "text": f"Text of {id_}."}


def resource(name: str, account: str = ACCOUNT, path: str = "/", **annotation: Any) -> dict[str, Any]:
    """A user as a policy's resources.json has it, with a policy document and a tag that no report may show."""
    return {
        "UserName": name,
        "UserId": f"AIDA{name.upper()}",
        "Arn": f"arn:aws:iam::{account}:user{path}{name}",
        "CreateDate": at(1000),
        "UserPolicyList": [{"PolicyName": "p", "PolicyDocument": {"Statement": "the-document"}}],
        "Tags": [{"Key": "Note", "Value": "the-tag"}],
        "c7n:IamUser": {"kind": "human", "findings": [finding()], "exemption": None, **annotation},
    }


def outcome(
    name: str, status: str, reason: str | Reason = "", days: float = 0, **more: Any
) -> dict[str, Any]:
    """A row of outcomes.json. A text is a reason without a code."""
    told = reason.as_data() if isinstance(reason, Reason) else {"reason": reason, "code": ""}
    who = {"user": name, "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "unique_id": f"AIDA{name.upper()}"}
    return {**who, "status": status, **told, "call": "", "error": "", "time": at(days), **more}


def seen_user(name: str, account: str = ACCOUNT, **more: Any) -> SeenUser:
    """A user that the filter saw, see ``SeenUser``."""
    return SeenUser(
        f"arn:aws:iam::{account}:user/{name}", f"AIDA{name.upper()}", **{"state": FLAGGED, **more}
    )


def exempt_user(name: str, account: str = ACCOUNT, denied: str = "") -> SeenUser:
    """A user that the first rule protects."""
    return seen_user(name, account, state=EXEMPT, rule=0, denied=denied)


def seen(*users: SeenUser, rules: Sequence[ExemptionRule] | None = None, complete: bool = True) -> SeenUsers:
    """What the filter saw in a run, which ``leave`` names; by default with RULE as its only exemption."""
    known = parse_rules([RULE], "exempt") if rules is None else tuple(rules)
    return SeenUsers("", complete, known, users)


def execution(policy: str, account: str, days: float) -> str:
    """The id of a run."""
    return f"{policy} in {account} {days:g} days ago"


def metadata(policy: str, account: str, days: float, metrics: Sequence[str], **more: Any) -> dict[str, Any]:
    return {
        "policy": {
            "name": policy,
            "resource": "aws.iam-user",
            "filters": [{"or": [{"type": "unnecessary", "exempt": [RULE]}]}],
            **more,
        },
        "execution": {
            "id": execution(policy, account, days),
            "start": datetime.fromisoformat(at(days)).timestamp(),
        },
        "config": {"account_id": account, "dryrun": False},
        "metrics": [{"MetricName": each, "Value": 1} for each in metrics],
    }


def in_account(account: str, content: str) -> str:
    """``content`` with the users of ACCOUNT as users of ``account``."""
    return content.replace(f":iam::{ACCOUNT}:user/", f":iam::{account}:user/")


def seen_in(users: SeenUsers, policy: str, account: str, days: float) -> str:
    return replace(users, execution=execution(policy, account, days)).content()


@dataclass(frozen=True)
class Outputs:
    """Below ``root``."""

    root: Path

    def leave(
        self,
        *users: dict[str, Any] | str,
        name: str = "payments",
        account: str = ACCOUNT,
        policy: str = FLAG,
        days: float = 0,
        metrics: Sequence[str] = ("ResourceCount",),
        outcomes: Sequence[dict[str, Any]] = (),
        seen: SeenUsers | None = None,
        log: str = "",
        run: str = "",
        files: Mapping[str, str | None] | None = None,
    ) -> Path:
        """A policy's directory. ``files``: name -> content, of those that differ; None: not there.

        The users of ``outcomes`` and ``seen`` become users of the ``account``.
        """
        directory = Path(self.root, *filter(None, [run, name, "us-east-1" if name else "", policy]))
        directory.mkdir(parents=True, exist_ok=True)
        resources = [resource(each, account) if isinstance(each, str) else each for each in users]
        contents: dict[str, str | None] = {
            "resources.json": json.dumps(resources),
            "metadata.json": json.dumps(metadata(policy, account, days, metrics)),
            "custodian-run.log": log,
            **({SEEN: in_account(account, seen_in(seen, policy, account, days))} if seen else {}),
            **({"outcomes.json": in_account(account, json.dumps(outcomes))} if outcomes else {}),
            **(files or {}),
        }
        for file, content in contents.items():
            if content is not None:
                (directory / file).write_text(content)
        return directory

    def as_in_bucket(self, directory: Path, days: float = 0) -> None:
        """Move what a run left in ``directory`` to where it lies in a bucket: outcomes below the account's id."""
        files = {path.name: path.read_text() for path in directory.iterdir() if path.is_file()}
        hour = datetime.fromisoformat(at(days)).strftime("%Y/%m/%d/%H")
        account = json.loads(files["metadata.json"])["config"]["account_id"]
        for name, content in files.items():
            own = name == "outcomes.json"
            target = directory.parent / account / directory.name if own else directory / hour
            target.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(content)
            (directory / name).unlink()

    def compress(self) -> None:
        """As c7n's output to a bucket does with its own files."""
        for path in self.root.rglob("*"):
            if path.name in ("resources.json", "metadata.json", "custodian-run.log", SEEN):
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
                path.unlink()
