# SPDX-License-Identifier: Apache-2.0
"""Where runs leave their files, on disk and in a bucket: what the documents say of it is what commands do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from aws_local_org import LocalOrg
from c7n_iamusers.execution.locks import RUN_LOCK
from c7n_iamusers.execution.output_layout import Layout
from c7n_iamusers_cli.main import main
from tests.policies import ACCOUNT
from tests.readme import (
    COMMANDS,
    MADE_ELSEWHERE,
    ROOT,
    copy_checkout,
    documented_paths,
    path_pattern,
    shell,
)

PAGE = (ROOT / "docs" / "output.md").read_text()
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
BUCKET = "outputs"
RUN = {
    "custodian": f"custodian run --assume {ROLE} --region us-east-1 delete.yml",
    "c7n-org": "c7n-org run -c accounts.yml -u delete.yml",
}
DELETE = {
    "name": "iam-users-delete",
    "resource": "aws.iam-user",
    "source": "authorization-details",
    "filters": [{"type": "unnecessary", "exempt": "none"}],
    "actions": [{"type": "composite-delete", "noticed": "none", "require": "none", "active-within": "none"}],
}


def rows(header: str) -> list[list[str]]:
    """The cells of the page's table under ``header``, whose first cell it is."""
    (table,) = re.findall(rf"^\| {re.escape(header)} \|.*\n\|[ |-]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in table.splitlines()]


#: -s -> by which command -> where the policy's files are.
PLACES = {
    output.strip("`"): {"custodian": one.strip("`"), "c7n-org": other.strip("`")}
    for output, one, other in rows("`-s`")
}
FILES = [re.findall("`([^`]*)`", cells[0]) for cells in rows("file")]


@pytest.fixture
def run(org: LocalOrg, tmp_path: Path) -> Any:
    """Runs a command in a checkout; two users are to be deleted."""
    checkout = copy_checkout(tmp_path)
    (checkout / "delete.yml").write_text(yaml.safe_dump({"policies": [DELETE]}))
    org.client("s3").create_bucket(Bucket=BUCKET)
    for name in ("alice", "bob"):
        org.client("iam", ACCOUNT).create_user(UserName=name)
    return lambda text: shell(f"{text} --cache-period 0", checkout, org.environment())


@pytest.mark.parametrize("program", list(RUN))
@pytest.mark.parametrize("output", list(PLACES))
def test_files_are_where_the_page_says(
    org: LocalOrg, run: Any, tmp_path: Path, output: str, program: str
) -> None:
    in_bucket = output.startswith("s3://")
    place = output.replace("BUCKET", BUCKET).replace("REGION", "us-east-1")
    done = run(f"{RUN[program]} -s '{place}'")
    assert done.returncode == 0, done.stderr
    if in_bucket:
        listed = org.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
        left = {each["Key"] for each in listed}
    else:
        files = (each for each in (tmp_path / "DIR").rglob("*") if each.is_file())
        shown = (each for each in files if each.name == RUN_LOCK or each.name[0] != ".")
        left = {str(each.relative_to(tmp_path)) for each in shown}
    ours = PLACES[output][program]
    own = {f"{ours}{names[-1] if in_bucket else names[0]}" for names in FILES}
    (texts,) = re.findall(r"Cloud Custodian's own files \(([^)]*)\) are beside these", PAGE)
    beside = re.findall(r"`(PREFIX/[^`]*<hour>/)`", PAGE)
    theirs = beside[program == "c7n-org"] if in_bucket else ours
    own |= {f"{theirs}{name}{'.gz' if in_bucket else ''}" for name in re.findall("`([^`]*)`", texts)}
    patterns = [path_pattern(each) for each in own]
    assert [each.pattern for each in patterns if not any(map(each.fullmatch, left))] == []
    assert [each for each in left if not any(pattern.fullmatch(each) for pattern in patterns)] == []
    assert sum("snapshots/" in each for each in left) == 2
    assert ": 2 selected, 2 deleted" in reported(place if in_bucket else str(tmp_path / place), tmp_path)


def reported(place: str, path: Path) -> str:
    """What ``report`` says of an output in a line for each policy."""
    found = CliRunner().invoke(main, ["report", "-s", place, "--output", str(path / "report.html")])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_without_a_region_nobody_is_touched(org: LocalOrg, run: Any) -> None:
    done = run(f"{RUN['c7n-org']} -s s3://{BUCKET}/PREFIX")
    assert done.returncode == 1
    (told,) = re.findall(r"ends with a traceback \(`([^`]*)`\)", PAGE)
    assert told in done.stderr
    assert len(org.client("iam", ACCOUNT).list_users()["Users"]) == 2


def test_every_output_in_a_bucket_has_its_region() -> None:
    texts = [
        *COMMANDS,
        *(path.read_text() for path in (*ROOT.glob("docs/*.md"), *ROOT.glob("policies/*.yml"))),
    ]
    given = [
        each
        for text in texts
        for each in re.findall(r"(?:custodian|c7n-org) run\b[^`\n]* -s \"?(s3://[^ \"`]*)", text)
    ]
    assert given
    assert [each for each in given if "?region=" not in each] == []


def test_each_path_in_a_document_is_one_that_a_test_makes() -> None:
    """Here, by the commands of the pages, or elsewhere."""
    paths = documented_paths()
    assert {"notices/<account id>/*-informed-*.json", "identity-center-runs/", "DIR/<policy>/"} <= paths
    assert MADE_ELSEWHERE.keys() <= paths
    for path, (module, text) in MADE_ELSEWHERE.items():
        assert text in (ROOT / "tests" / module).read_text(), path


def test_in_an_accounts_own_directory_no_other_account_is_named() -> None:
    known = {"payments": "111122223333", "research": "444455556666"}
    for inner in ("444455556666/us-east-1/x", "research/us-east-1/x", "x"):
        parts = ("removal", "payments", *inner.split("/"))
        assert Layout.of(parts, known).owners(known) == {"payments", "111122223333"}, inner
    honest = ("removal", "research", "us-east-1", "flag")
    assert Layout.of(honest, known).owners(known) == {"research", "444455556666"}
    assert Layout.of(honest, {}).owners({}) == {"research"}
    assert Layout.of(("flag",), known).owners(known) == frozenset()


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        pytest.param(
            "former/us-east-1/111122223333/flag", {"111122223333", "payments", "former"}, id="former-name"
        ),
        pytest.param(
            "research/us-east-1/111122223333/flag", {"444455556666", "research"}, id="name-of-another"
        ),
        pytest.param("111122223333/us-east-1/flag", {"111122223333", "payments"}, id="no-name"),
        pytest.param("111122223333/flag", {"111122223333", "payments"}, id="no-directory-of-a-name"),
        pytest.param(
            "111122223333/research/us-east-1/111122223333/flag",
            {"111122223333", "payments"},
            id="name-of-another-further-down",
        ),
        pytest.param("payments/former/us-east-1/flag", {"111122223333", "payments"}, id="name-further-down"),
    ],
)
def test_a_former_name_is_the_accounts_before_its_id(path: str, owners: set[str]) -> None:
    known = {"payments": "111122223333", "research": "444455556666"}
    assert Layout.of(path.split("/"), known).owners(known) == owners
