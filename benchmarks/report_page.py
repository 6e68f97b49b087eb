# SPDX-License-Identifier: Apache-2.0
"""Measures the page of ``report``: its size, and how long its filters take, in Chromium.

``python -m benchmarks --page``.
The outputs are written as runs leave them; no policy runs. A copy of the page has a script that filters it, as somebody
who types and chooses would, and waits for the layout each time.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from benchmarks.report import Table
from benchmarks.results import BenchmarkError

#: Accounts, and users in each.
Size = tuple[int, int]
FULL: Size = (200, 50)
QUICK: Size = (3, 5)
#: Megabytes, and milliseconds of the slowest filter.
MEGABYTES, MILLISECONDS = 5, 100
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_POLICY = "iam-users-flag"
#: What is filtered: by an element, its event and value.
_FILTERS = (
    *(("q", "input", text) for text in ("u", "user-1", "account-7 high", "nobody at all", "")),
    *(
        ("status", "change", "flagged"),
        ("severity", "change", "high"),
        ("blocked", "change", "not announced"),
    ),
    *(("blocked", "change", ""), ("severity", "change", ""), ("status", "change", "")),
)
#: The fastest of so many passes counts: the machine has other work.
_PASSES = 5
#: Rows that the page draws before somebody scrolls.
_DRAWN = 50
_SCRIPT = """
const times = {};
for (let pass = 0; pass < PASSES; pass++)
  for (const [id, event, value] of FILTERS) {
    const node = document.getElementById(id) || document.querySelector(`select[data-filter="${id}"]`);
    const at = performance.now();
    node.value = value;
    node.dispatchEvent(new Event(event));
    document.getElementById("list").getBoundingClientRect();
    (times[`${id} ${value || "(all)"}`] ||= []).push(performance.now() - at);
  }
document.title = JSON.stringify({ rows: document.querySelectorAll("tr.user").length, times });
"""


@dataclass(frozen=True)
class Measured:
    """``took``: filter -> milliseconds."""

    users: int
    megabytes: float
    took: Mapping[str, float]


def measured(size: Size, progress: Callable[[str], object]) -> Measured:
    """Raises BenchmarkError where there is no Chromium, or the page does not filter."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise BenchmarkError(f"none of {', '.join(_BROWSERS)} is installed")
    accounts, users = size
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        progress(f"{accounts} accounts of {users} users")
        _write(work, accounts, users)
        command = [
            str(Path(sys.executable).parent / "c7n-iamusers"),
            "report",
            "-s",
            "output",
            "-c",
            "accounts.json",
        ]
        subprocess.run(command, cwd=work, check=True, stdout=subprocess.DEVNULL)
        page = (work / "report.html").read_text(encoding="utf-8")
        script = _SCRIPT.replace("FILTERS", json.dumps(_FILTERS)).replace("PASSES", str(_PASSES))
        # the page lets no script run but its own
        copy = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page, count=1)
        (work / "copy.html").write_text(
            copy.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8"
        )
        progress("filters")
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--dump-dom",
                f"file://{work / 'copy.html'}",
            ],
            capture_output=True,
            text=True,
        )
    found = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    told: dict[str, Any] = json.loads(found[1]) if found else {}
    if told.get("rows") != min(_DRAWN, accounts * users):
        raise BenchmarkError(
            f"the page shows {told.get('rows')} users after its filters: {done.stderr[-2000:]}"
        )
    took = {each: min(times) for each, times in told["times"].items()}
    return Measured(accounts * users, len(page.encode()) / 1e6, took)


def table(found: Measured) -> Table:
    rows = [
        ["page", f"{found.megabytes:.2f} MB"],
        *([each, f"{ms:.1f} ms"] for each, ms in found.took.items()),
    ]
    return Table(f"The report's page, {found.users:,} users", ["filter", "takes"], rows, 1)


def missed(found: Measured) -> list[str]:
    """The goals that are missed, in words."""
    large = [f"the page has {found.megabytes:.1f} MB"] if found.megabytes > MEGABYTES else []
    slow = [f"{each} takes {ms:.0f} ms" for each, ms in found.took.items() if ms > MILLISECONDS]
    return large + slow


def _write(work: Path, accounts: int, users: int) -> None:
    now = datetime.now(timezone.utc)
    rows = []
    for number in range(accounts):
        key, name = f"{number:012}", f"account-{number}"
        owner = {"owner": f"team-{number % 40}@example.com"}
        rows.append({"name": name, "account_id": key, "tags": [f"path:/unit-{number % 7}"], "vars": owner})
        directory = work / "output" / name / "us-east-1" / _POLICY
        directory.mkdir(parents=True)
        data = {
            "policy": {"name": _POLICY, "resource": "aws.iam-user", "filters": ["unnecessary"]},
            "execution": {"id": name, "start": now.timestamp()},
            "config": {"account_id": key, "dryrun": False},
            "metrics": [{"MetricName": "ResourceCount", "Value": users}],
        }
        (directory / "metadata.json").write_text(json.dumps(data))
        (directory / "resources.json").write_text(json.dumps(list(_users(key, users, now))))
        (directory / "custodian-run.log").write_text("")
    (work / "accounts.json").write_text(json.dumps({"accounts": rows}))


def _users(account: str, count: int, now: datetime) -> Iterator[dict[str, Any]]:
    for number in range(count):
        days = [number * 7 + each * 31 + int(account) % 29 for each in range(3)]
        used, *created = ((now - timedelta(days=each)).isoformat() for each in days)
        findings = [
            {
                "id": f"finding-{each}",
                "severity": ("low", "medium", "high")[(number + each) % 3],
                "text": text,
            }
            for each, text in enumerate(
                (
                    f"Access key 1 is {days[1]} days old, and was last used {days[0]} days ago.",
                    f"Access key 2 is {days[2]} days old.",
                    "It has no MFA device, and its password can be used.",
                    "It is in no group, and has policies of its own.",
                    "A role trusts it.",
                    "It has more access than it used in a year.",
                )
            )
        ]
        credentials = [
            {
                "kind": "access-key",
                "title": f"access key {each + 1}",
                "active": True,
                "created": at,
                "used": used,
            }
            for each, at in enumerate(created)
        ]
        yield {
            "UserName": f"user-{number}-of-{account}",
            "UserId": f"AIDA{account}{number:05}",
            "Arn": f"arn:aws:iam::{account}:user/programs/user-{number}-of-{account}",
            "CreateDate": created[-1],
            "c7n:IamUser": {
                "kind": ("human", "machine", "mixed")[number % 3],
                "findings": findings,
                "reasons": [
                    "is an IAM user",
                    f"access key 1: active, last used {used[:10]} (s3 in eu-west-1)",
                ],
                "replacement": ["a person in IAM Identity Center", "a role"],
                "last_activity": {"time": used, "by": "access key 1", "service": "s3", "region": "eu-west-1"},
                "credentials": credentials,
                "attachments": {"group": 1, "inline-policy": 2, "tag": 4},
                "sources": {
                    each: {"source": "ListUsers", "time": now.isoformat()} for each in ("account", "report")
                },
            },
        }
