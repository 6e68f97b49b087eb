# SPDX-License-Identifier: Apache-2.0
"""What is small as a file and large in memory or time is refused before it is; what a run writes at most is read."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from c7n_iamusers.evidence.account_report import read_details
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData, NoticesUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.journal import JournalReader, journal_line, parsed
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore, read_file
from c7n_iamusers.exemptions import ExemptionRule
from c7n_iamusers.identity_center.applying.run_lock import _LOCK, force_unlock
from c7n_iamusers.identity_center.applying.run_records import RUNS
from c7n_iamusers.notices.exempted import Exempted
from c7n_iamusers.notices.exempted import as_json as exempted_as_json
from c7n_iamusers.notices.exempted import place_of as exempted_place
from c7n_iamusers.notices.notices import Notice, Notices, parse_record
from c7n_iamusers.plugins.exemption_list import parse_source
from c7n_iamusers.restoration.snapshot_files import collected
from c7n_iamusers.snapshots.archive import SnapshotArchive
from c7n_iamusers.text import documents, yaml_documents
from c7n_iamusers.text.documents import (
    LARGEST_GIVEN,
    LARGEST_LOCK,
    LARGEST_RECORD,
    LONGEST_LINE,
    MOST_JSON,
    MOST_JSON_GIVEN,
    MOST_OF_RECORD,
    NotInFormat,
    check_json,
    check_json_lines,
    json_values,
    most_json_of,
    read_json,
)
from c7n_iamusers.text.kept import Kept
from c7n_iamusers.text.rows import read_rows
from c7n_iamusers.text.yaml_documents import MOST_NODES, read_yaml
from c7n_iamusers_cli.main import main
from c7n_iamusers_cli.provision.opening import people
from tests.hostile.corpus import brackets

ACCOUNT = "111122223333"
NOW = datetime(2027, 1, 1, tzinfo=timezone.utc)
#: MiB of address space in which a command still starts, and 12 million values don't fit.
MEMORY = 900


@pytest.fixture(scope="module")
def given() -> bytes:
    """As few bytes as have more brackets and commas than what a person names may have."""
    return brackets(MOST_JSON_GIVEN)


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(read_json, id="a-document"),
        pytest.param(lambda text: list(read_rows(text, "json", lambda _: "")), id="rows"),
        pytest.param(lambda text: list(read_rows(b"[" + text + b"]", "json", lambda _: "")), id="one-row"),
    ],
)
def test_json_is_counted_before_it_is_decoded(given: bytes, read: Callable[[bytes], object]) -> None:
    with pytest.raises(NotInFormat, match=f"more than {MOST_JSON_GIVEN} brackets, commas and colons"):
        read(given)


@pytest.mark.parametrize("piece", [b"[],", b"{},", b'"ab",', b'{"a":', b"1,"], ids=repr)
def test_every_kind_of_value_counts(piece: bytes) -> None:
    with pytest.raises(NotInFormat, match="more than 1000 brackets, commas and colons"):
        read_json(b"[" + piece * 1_001, most=1_000)


def test_a_member_counts_beside_its_object() -> None:
    with pytest.raises(NotInFormat, match="more than 3500 brackets, commas and colons"):
        read_json(b"[" + b",".join([b'{"a":0}'] * 1_000) + b"]", most=3_500)


def test_half_a_text_hides_nothing_in_the_next_line() -> None:
    lines = b'"\n' + b'{"a": ["b,c"]}\n' * 1_000
    with pytest.raises(NotInFormat, match="more than 3000 brackets, commas and colons"):
        check_json_lines(lines, 3_000)
    check_json_lines(lines, 4_000)


def test_what_is_packed_may_have_fewer() -> None:
    assert most_json_of(b"x" * 1_000) == 1_000_000
    assert most_json_of(b"x" * 100_000) == 2_000_000
    assert most_json_of(b"x" * LARGEST_GIVEN) == MOST_JSON


def test_numbers_of_one_hash_are_not_compared_with_each_other() -> None:
    """Python's hash of a whole number is its remainder by this one; a file has any number of the same hash."""
    same = [5 + number * (2**61 - 1) for number in range(50)]
    assert len({hash(each) for each in same}) == 1
    kept = Kept(("calls", "also"))
    found = [kept.of({"calls": each, "also": [each]}) for each in same]
    assert len({hash(key) for key in kept.known}) == len(found)
    assert kept.of({"calls": same[7], "also": [same[7]]}) is found[7]
    assert kept.of({"calls": True}) is not kept.of({"calls": 1})


def values_in(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(values_in, below))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([[[[]]], {}, {"a": {}}], id="nested"),
        pytest.param([{"a": 1, "b": [1, 2]}] * 9, id="objects"),
        pytest.param({"a": ["x,y[{"] * 3}, id="texts"),
        pytest.param(list(range(50)), id="numbers"),
    ],
)
def test_no_fewer_are_counted_than_there_are(value: Any) -> None:
    text, there = json.dumps(value), values_in(value) - 1
    with pytest.raises(NotInFormat):
        check_json(text, there - 1)
    assert read_json(text, most=2 * len(text)) == value


def test_pages_and_lists_are_counted_in_their_files(tmp_path: Path, given: bytes) -> None:
    (tmp_path / "list.json.gz").write_bytes(gzip.compress(given, 1))
    with pytest.raises(InvalidPolicyData, match=r"list\.json\.gz: has more than \d+ brackets"):
        parse_source({"from": str(tmp_path / "list.json.gz"), "format": "json"}, "exempt-from").rules(None)
    (tmp_path / "people.json").write_bytes(given)
    with pytest.raises(InvalidPolicyData, match=r"people\.json, has more than \d+ brackets"):
        people(tmp_path / "people.json")
    (tmp_path / "details.json").write_bytes(brackets(MOST_JSON))
    with pytest.raises(EvidenceUnreadable, match=rf"details\.json: has more than {MOST_JSON} brackets"):
        read_details(tmp_path / "details.json")


def test_yaml_ends_where_it_has_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_documents, "MOST_NODES", 20)
    for text in ("[" + "[]," * 30 + "}", "\n".join(["- - - a"] * 30) + "\n}", "- {a: b}\n" * 30 + "}"):
        # the syntax error at the end is not reached
        with pytest.raises(NotInFormat, match="more than 20 keys and values"):
            read_yaml(text)
    with pytest.raises(NotInFormat, match="line 6: has more than 20 keys and values"):
        read_yaml("\n".join(["- [a, b, c]"] * 30) + "\n}")
    assert read_yaml("[" + "a, " * 19 + "]") == ["a"] * 19


def test_yaml_ends_where_it_is_too_deep() -> None:
    with pytest.raises(NotInFormat, match="nested too deeply"):
        read_yaml("[" * 70 + "]" * 69 + "}")


@pytest.mark.soak
def test_eight_megabytes_of_yaml_take_seconds() -> None:
    begin = time.process_time()
    with pytest.raises(NotInFormat, match=f"more than {MOST_NODES} keys and values"):
        read_yaml("[" + "[]," * 2_700_000 + "]")
    assert time.process_time() - begin < 30  # 54 for all of it, on a machine that takes 6 for its beginning


# What a process may not have the memory for.


def test_memory_that_a_process_may_not_have_is_an_error_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise MemoryError

    path = tmp_path / "details.json"
    path.write_text('{"UserDetailList": []}')
    with monkeypatch.context() as patched:
        patched.setattr(documents, "_DECODER", type("Decoder", (), {"raw_decode": fail})())
        with pytest.raises(NotInFormat, match="line 1: needs more memory"):
            read_json("{}")
        with pytest.raises(EvidenceUnreadable, match=r"details\.json: line 1: needs more memory"):
            read_details(path)
    with monkeypatch.context() as patched:
        patched.setattr("c7n_iamusers.evidence.account_report.saved_user", fail)
        path.write_text('{"UserDetailList": [{}]}')
        with pytest.raises(EvidenceUnreadable, match=r"details\.json: takes more memory"):
            read_details(path)
    with monkeypatch.context() as patched:
        patched.setattr("c7n_iamusers_cli.shard.read_accounts", fail, raising=False)
        patched.setattr("c7n_iamusers_cli.arguments.read_accounts", fail)
        (tmp_path / "accounts.yml").write_text("accounts: []")
        arguments = ["shard", "-c", str(tmp_path / "accounts.yml"), "--index", "0", "--of", "1"]
        done = CliRunner().invoke(main, arguments)
        assert isinstance(done.exception, SystemExit)
        assert (
            f"more memory than the process may have while it read {tmp_path / 'accounts.yml'}" in done.output
        )


def test_a_command_that_runs_out_of_memory_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "details.json").write_bytes(
        b'{"UserDetailList":[' + brackets(MOST_JSON - 100_000)[1:-1] + b"]}"
    )
    (tmp_path / "credentials.csv").write_text("user,arn\n")
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY << 20}, {MEMORY << 20})); "
        "from c7n_iamusers_cli import run; raise SystemExit(run())"
    )
    given = ["--authorization-details", "details.json", "--credential-report", "credentials.csv"]
    done = subprocess.run(
        [sys.executable, "-c", code, "evidence", *given],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert "details.json" in done.stderr
    assert "more memory" in done.stderr


# Records of one thing.


def users(count: int = 5_000) -> Iterator[Subject]:
    """As many users as an account may have, with names as long as they may be (IAM and AWS STS quotas)."""
    for number in range(count):
        name, path = f"{number:064}", "/" + "p" * 510 + "/"
        yield Subject(name, f"arn:aws-us-gov:iam::{ACCOUNT}:user{path}{name}", f"AIDA{number:017}")


@pytest.mark.parametrize("character", "\\{[,\x7f")
def test_the_largest_notice_is_read(tmp_path: Path, character: str) -> None:
    path = f"/{character * 510}/"
    named = [replace(each, arn=f"arn:aws-us-gov:iam::{ACCOUNT}:user{path}{each.name}") for each in users()]
    notice = Notice(ACCOUNT, "informed", NOW, date(2027, 1, 1), ("a@example.com",), "m", "p", tuple(named))
    assert len(notice.as_json()) < LARGEST_RECORD
    store = DirectoryStore(tmp_path)
    store.create(notice.name, notice.as_json())
    rule = ExemptionRule("path", path, "r", date(2027, 1, 1), account=character * 128)
    exempt = [Exempted.by(rule, each, NOW) for each in named]
    content = exempted_as_json(ACCOUNT, NOW, exempt)
    assert len(content) < LARGEST_RECORD
    store.create(exempted_place(ACCOUNT, NOW), content)
    assert Notices.read(store, ACCOUNT, NOW).recorded


def grown(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, size)  # takes no room
    return path


def test_a_notice_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / ACCOUNT / "x.json"
    grown(path, LARGEST_RECORD + 1)
    with pytest.raises(NoticesUnreadable, match=rf"x\.json has {LARGEST_RECORD + 1} bytes"):
        Notices.read(DirectoryStore(tmp_path), ACCOUNT, NOW)
    path.write_bytes(brackets(MOST_OF_RECORD))
    with pytest.raises(
        NoticesUnreadable, match=rf"x\.json is no notice: .*more than {MOST_OF_RECORD} brackets"
    ):
        Notices.read(DirectoryStore(tmp_path), ACCOUNT, NOW)
    with pytest.raises(NotInFormat, match="brackets"):
        parse_record(brackets(MOST_OF_RECORD), ACCOUNT, NOW)
    path.unlink()
    grown(tmp_path / exempted_place(ACCOUNT, NOW), LARGEST_RECORD + 1)
    with pytest.raises(NoticesUnreadable, match="bytes, and no run writes more"):
        Notices.read(DirectoryStore(tmp_path), ACCOUNT, NOW)


def test_a_notice_that_is_too_large_hides_no_other_where_it_is_left_out(tmp_path: Path) -> None:
    notice = Notice(ACCOUNT, "created", NOW, date(2027, 1, 1), ("a@example.com",), "m", "p", (next(users()),))
    DirectoryStore(tmp_path).create(notice.name, notice.as_json())
    grown(tmp_path / ACCOUNT / "x.json", LARGEST_RECORD + 1)
    faults: list[str] = []
    assert Notices.read(DirectoryStore(tmp_path), ACCOUNT, NOW, faults.append).all == [notice]
    assert [each for each in faults if "x.json can't be read" in each]


def test_a_snapshot_is_bounded(tmp_path: Path) -> None:
    path = grown(tmp_path / "snapshots" / "alice.AIDA1.json", LARGEST_RECORD + 1)
    (problem,) = collected([path]).problems
    assert f"alice.AIDA1.json has {LARGEST_RECORD + 1} bytes" in problem
    with pytest.raises(OSError, match="bytes, and no run writes more"):
        list(SnapshotArchive(DirectoryStore(tmp_path))._read(Subject("alice", "arn", "AIDA1")))
    path.write_bytes(brackets(MOST_OF_RECORD))
    (problem,) = collected([path]).problems
    assert f"more than {MOST_OF_RECORD} brackets" in problem


def test_a_lock_is_bounded(tmp_path: Path) -> None:
    path = grown(tmp_path / RUNS / _LOCK, LARGEST_LOCK + 1)
    with pytest.raises(OSError, match=f"{path.name} has {LARGEST_LOCK + 1} bytes"):
        force_unlock(DirectoryStore(tmp_path), "x")


def test_a_line_of_a_journal_is_bounded(tmp_path: Path) -> None:
    line = journal_line(NOW, next(users()), "before", {"a": "x" * (LONGEST_LINE - 1000)})
    assert len(list(parsed(line * 2))) == 2
    with pytest.raises(OSError, match=rf"here has a line of {LONGEST_LINE + 10} bytes"):
        list(parsed(line + b" " * (LONGEST_LINE + 9) + b"\n", "here"))
    with pytest.raises(OSError, match=rf"here has more than {MOST_JSON} brackets"):
        next(parsed((b"[" + b"{}," * 999 + b"{}]\n") * (MOST_JSON // 3000 + 1), "here"))


def test_blank_lines_of_a_journal_take_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = b"\n" * (8 << 20)
    assert next(parsed(content + journal_line(NOW, next(users()), "before", {"a": 1})))["a"] == 1
    with pytest.raises(OSError, match=rf"here has more than {MOST_JSON} lines"):
        next(parsed(b"\n" * (MOST_JSON + 1), "here"))
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    )  # KiB; a list of them has 64 MiB


def test_a_journal_beyond_its_bounds_is_named(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"x" * (LONGEST_LINE + 1))
    with pytest.raises(OSError, match=JOURNAL):
        JournalReader(lambda: [DirectoryStore(tmp_path)]).of(Subject("a", "arn", "AIDA1"))


def test_a_file_that_grows_while_it_is_read_is_refused() -> None:
    # a file in /proc says that it is empty
    with pytest.raises(OSError, match="maps has more than 10 bytes, and grew"):
        read_file(Path("/proc/self/maps"), 10)


def test_what_an_account_has_at_most_by_default_is_read() -> None:
    """5,000 users with 10 groups, 10 policies and 50 tags, and a document of 2,048 characters."""
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(50)]
    attached = [{"PolicyName": f"p{number}", "PolicyArn": "arn"} for number in range(10)]
    user = {"UserName": "u", "GroupList": ["g"] * 10, "AttachedManagedPolicies": attached, "Tags": tags}
    statement = {"Effect": "Allow", "Action": ["s3:GetObject"] * 120, "Resource": "*"}
    policy = {"PolicyName": "x", "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
    text = json.dumps({**user, "UserPolicyList": [policy]})
    whole = '{"UserDetailList": [' + ",".join([text] * 5_000) + "]}"
    check_json(whole, MOST_JSON // 4)
    assert len(next(json_values(whole))["UserDetailList"]) == 5_000


@pytest.mark.parametrize(
    ("place", "why"),
    [
        pytest.param("~nosuchuser-of-this-machine/x.csv", "give the whole path", id="a-home-of-nobody"),
        pytest.param("s3://b/x.csv?Bucket=y", "the query of s3: has 'Bucket'", id="another-bucket"),
    ],
)
def test_a_place_that_nobody_can_read_names_the_option(place: str, why: str) -> None:
    with pytest.raises(EvidenceUnreadable, match=f"^exempt-from .*{why}"):
        parse_source({"from": place, "format": "csv"}, "exempt-from").rules(None)
