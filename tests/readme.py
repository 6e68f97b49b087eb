# SPDX-License-Identifier: Apache-2.0
"""The blocks of the README and of the pages that go on from it, and what it takes to run them: a copy of the checkout,
a saved account, a shell.

Shell blocks run as they are written, but for what SUBSTITUTIONS names.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

from tests.policies import ACCOUNT

ROOT = Path(__file__).parent.parent
#: Read from the first to the last. tests/test_site.py says who runs the blocks of the other pages.
PAGES = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("start", "install", "policies", "identity-center", "one-user", "report")
    ),
)
TEXT = "\n".join((ROOT / name).read_text() for name in PAGES)
SAVED = ROOT / "tests" / "data" / "saved"
BLOCKS = [
    token
    for name in PAGES
    for token in MarkdownIt().parse((ROOT / name).read_text())
    if token.type in ("fence", "code_block")
]
POLICIES = [token.content for token in BLOCKS if token.info == "yaml" and "exempt" in token.content]
#: Those that are no policies for users: tests/identity_center/requests/test_others.py has them.
OTHERS = [token.content for token in BLOCKS if token.info == "yaml" and "exempt" not in token.content]
#: As who is on call: tests/guides.py; and in a workspace: tests/test_site.py.
ELSEWHERE = ("deploy/as ", "c7n-iamusers init", "sh as ")
_SHELL = [token.content for token in BLOCKS if not token.info]
COMMANDS = [text for text in _SHELL if not text.lstrip().startswith(ELSEWHERE)]
#: Of those of ELSEWHERE.
LEFT_OUT = [text for text in _SHELL if text not in COMMANDS]
#: What commands print.
SAMPLES = [token.content for token in BLOCKS if token.info == "text"]
#: What stands on a page -> what the tests run in its place, and why.
SUBSTITUTIONS = {
    "make demo ": f"make -n -C {shlex.quote(str(ROOT))} demo ",  # a minute; a test runs it
    "make test ": f"make -n -C {shlex.quote(str(ROOT))} test ",  # these are the tests
    "pip install '.[cli,org]'": "command -v custodian c7n-org c7n-iamusers",  # tests/packaging installs
    # the reader's own account
    "aws iam get-account-authorization-details > details.json": "cp saved/details.json details.json",
    "aws iam generate-credential-report && sleep 10": "test -f saved/report.csv",
    "aws iam get-credential-report --query Content --output text | base64 -d >": "cp saved/report.csv",
    # the ports that are written may be taken; the test's mailer.yml has this one
    "--mail-dir mails": "--mail-dir mails --port 0 --smtp-port $SMTP_PORT",
    # what the reader fills in
    "{account_id}:role/IamUsersReader": "{account_id}:role/CloudCustodian",  # in the local organization
    "--role ARN": "--role arn:aws:iam::123456789012:role/IdentityCenterProvisioner",
    "--user jane.doe": "--user retired-bot",
}
EVERYBODY = {user["UserName"] for user in json.loads((SAVED / "details.json").read_text())["UserDetailList"]}
#: Whom an example may touch: announced, unused, not exempt, and no person.
UNUSED = {"retired-bot", "left-over"}


def copy_checkout(to: Path) -> Path:
    """What the checkout ships, for one account, and its saved documents."""
    shutil.copytree(ROOT / "policies", to / "policies")
    accounts = yaml.safe_load((ROOT / "accounts.yml").read_text())
    accounts["accounts"] = [each for each in accounts["accounts"] if each["account_id"] == ACCOUNT]
    (to / "accounts.yml").write_text(yaml.safe_dump(accounts))
    (to / "mailer.yml").write_bytes((ROOT / "mailer.yml").read_bytes())
    (to / "saved").mkdir()
    (to / "saved" / "details.json").write_bytes((SAVED / "details.json").read_bytes())
    (to / "saved" / "report.csv").write_text(saved_report())
    return to


def saved_report() -> str:
    """The saved account's credential report, in which two users were active yesterday."""
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    return (SAVED / "report.csv").read_text().replace("YESTERDAY", f"{yesterday:%Y-%m-%dT%H:%M:%S+00:00}")


def substituted(text: str) -> str:
    """A block as the tests run it. The shipped accounts file has placeholders, so preflight ends with 3."""
    for shown, run in SUBSTITUTIONS.items():
        text = text.replace(shown, run)
    return re.sub(r"(c7n-iamusers preflight (?:.*\\\n)*.*)", r"\1 || test $? = 3", text)


def in_shell(text: str, checkout: Path, environment: Mapping[str, str]) -> None:
    """Run a block as a reader's shell would, but that it ends at the first error; none may come."""
    done = shell(f"set -e\n{text}", checkout, environment)
    assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert "Traceback" not in done.stderr, done.stderr


def shell(text: str, checkout: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run commands in a shell that finds those of this environment, and no AWS settings but ``environment``."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "C7N_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    return subprocess.run(
        ["sh", "-c", text],
        cwd=checkout,
        env={**own, "PATH": path, "HOME": str(checkout), **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


def of_rehearsal(text: str) -> bool:
    """Whether a block belongs to the rehearsal, which runs against an organization of its own."""
    return "details.json" in text


def by_hand(text: str) -> bool:
    """Whether a block starts an organization of its own in the background."""
    return "local-org serve" in text


#: A path that a document names -> the test that makes it or reads it there, and by what text it names it, where the
#: commands of the pages leave none.
MADE_ELSEWHERE = {
    ".iam-users-init.json": ("cli/test_init.py", "RECORD"),
    "approvals.csv": ("cli/test_approve.py", "approvals.csv"),
    "cycle/": ("cli/test_cycle.py", '"cycle" / "runs"'),
    "deletion-plan.json": ("cli/test_plan.py", "deletion-plan.json"),
    "notices/STOP": ("cli/test_preflight.py", "notices/STOP"),
    "realtime/quarantine-notices/STOP": ("plugins/test_realtime.py", "realtime/quarantine-notices/STOP"),
    "DIR/sign-ins.json": ("cli/test_provision.py", "sign-ins.json"),
    "OUTPUT_DIR/identity-center-profiles/<username>-<hash>.config": ("cli/test_provision.py", "PROFILES"),
    "identity-center-profiles/": ("cli/test_provision.py", "PROFILES"),
    "identity-center-runs/former.json": ("identity_center/test_former_members.py", "former.json"),
    "notices/held/": ("plugins/test_held_messages.py", 'Path("notices", "held"'),
    "on-call.json": ("deploy/test_scripts.py", "on-call"),
    "people-to-add.csv": ("identity_center/test_provisioning.py", "people-to-add.csv"),
    "undone.json": ("identity_center/undo/test_undoing.py", "undone.json"),
    "records/": ("deploy/test_rehearsal.py", "records"),
    "runs/": ("deploy/test_rehearsal.py", "runs"),
    "runs/ACCOUNT/REGION/POLICY/YEAR/...": ("deploy/test_rehearsal.py", "runs"),
    "*.cdx.json": ("packaging/test_supply_chain.py", "bomFormat"),
}
_RUN_LEAVES = re.compile(r"`([A-Za-z<*.][^`\n]*?(?:/|/\.\.\.|\.jsonl?|\.html|\.csv|\.config|/STOP))`")
#: The pages that are not made from code, of those that say what runs leave.
_DOCUMENTS = (
    *PAGES,
    *(
        f"docs/{name}.md"
        for name in (
            "concepts",
            "deploy",
            "escalate",
            "exempt",
            "first-week",
            "limits",
            "mails",
            "output",
            "real-time",
            "restore",
            "runbook",
            "stop",
            "threat-model",
        )
    ),
)


def documented_paths() -> set[str]:
    """The paths in the documents that runs leave: no files of the checkout, and nothing that a reader names himself."""
    found = {
        path
        for name in _DOCUMENTS
        for path in _RUN_LEAVES.findall((ROOT / name).read_text())
        if not path.startswith(("aws ", "c7n-iamusers ", "cloudcustodian/", "s3:")) and ": " not in path
    }
    written = {each.lstrip("/") for each in (ROOT / ".gitignore").read_text().split()}
    return {path for path in found - written if not any((ROOT / at / path).exists() for at in (".", "docs"))}


def path_pattern(path: str) -> re.Pattern[str]:
    """What a documented path stands for: <...> for any name, * for any text."""
    pieces = re.split(r"(<[^>]*>|\*)", path)
    texts = (
        "[^/]*" if each == "*" else "[^/]+" if each.startswith("<") else re.escape(each) for each in pieces
    )
    return re.compile("".join(texts) + (".+" if path.endswith("/") else ""))
