# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import boto3
import pytest

from aws_local_org import LocalOrg
from c7n_iamusers.exceptions import EvidenceUnreadable, InvalidPolicyData
from c7n_iamusers.exemptions import LARGEST_LIST
from c7n_iamusers.plugins.exemption_list import ExemptionSource, parse_source

CSV = "user,reason,expires\nalice,r,2999-12-31\n"


def source(data: Any) -> ExemptionSource:
    return parse_source(data, "here")


def patterns(data: Any) -> list[str]:
    return [rule.pattern for rule in source(data).rules(boto3.Session)]


@pytest.mark.parametrize("form", ["relative", "absolute", "file-url", "from", "url"])
def test_local_lists(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my lists" / "ex%20empt.csv"
    path.parent.mkdir()
    path.write_text(CSV)
    monkeypatch.chdir(tmp_path)
    forms: dict[str, Any] = {
        "relative": "my lists/ex%20empt.csv",
        "absolute": str(path),
        "file-url": path.as_uri(),
        "from": {"from": str(path), "format": "csv"},
        "url": {"url": str(path), "format": "csv"},
    }
    assert source(forms[form]).is_local
    assert patterns(forms[form]) == ["alice"]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_lists_in_s3(org: LocalOrg, compressed: bool) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="governance")
    name = "exempt.csv.gz" if compressed else "exempt.csv"
    s3.put_object(
        Bucket="governance", Key=name, Body=gzip.compress(CSV.encode()) if compressed else CSV.encode()
    )
    found = source(f"s3://governance/{name}")
    assert (found.is_local, found.permissions) == (False, ("s3:GetObject",))
    assert patterns(f"s3://governance/{name}") == ["alice"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("missing.csv", id="missing-file"),
        pytest.param("file:///missing/x.csv", id="missing-file-url"),
        pytest.param("http://127.0.0.1:1/x.csv", id="no-server"),
        pytest.param("s3://no-such-bucket/x.csv", id="no-bucket"),
        pytest.param("gopher://x/y.csv", id="no-such-scheme"),
    ],
)
def test_what_cannot_be_read_is_no_empty_list(org: LocalOrg, url: str) -> None:
    with pytest.raises(EvidenceUnreadable, match=rf"exempt-from {url} can't be read: .*no user is flagged"):
        patterns(url)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("place", ["here", "s3"])
def test_encodings_of_spreadsheets(org: LocalOrg, tmp_path: Path, encoding: str, place: str) -> None:
    data = CSV.replace("alice,r", "alice,\u00e9t\u00e9").encode(encoding)
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="governance")
    s3.put_object(Bucket="governance", Key="x.csv", Body=data)
    url = {"here": str(path), "s3": "s3://governance/x.csv"}[place]
    (rule,) = source(url).rules(boto3.Session)
    assert (rule.pattern, rule.reason) == ("alice", "\u00e9t\u00e9")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"user,reason\n\xe9\xe9")
    with pytest.raises(InvalidPolicyData, match=r"x\.csv: line 2: is not UTF-8"):
        patterns(str(path))


def test_a_fault_in_a_list_names_the_list(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("user,reason,expires\nalice,,2999-12-31\n")
    with pytest.raises(InvalidPolicyData, match=r"x\.csv line 2: reason is missing"):
        patterns(str(path))


TWO = CSV + "bob,r,2999-12-31\n"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        pytest.param(TWO, {"min-rules": 2}, "", id="enough"),
        pytest.param(TWO, {"min-rules": 3}, "has 2 rules, and min-rules asks for 3", id="too-few"),
        pytest.param(CSV, {"min-rules": 2}, "has 1 rules, and min-rules asks for 2", id="cut-in-half"),
        pytest.param(TWO, {"sha256": hashlib.sha256(TWO.encode()).hexdigest()}, "", id="digest"),
        pytest.param(
            TWO, {"sha256": hashlib.sha256(TWO.encode()).hexdigest().upper()}, "", id="digest-in-capitals"
        ),
        pytest.param(
            CSV,
            {"sha256": hashlib.sha256(TWO.encode()).hexdigest()},
            f"its SHA-256 is {hashlib.sha256(CSV.encode()).hexdigest()}, not ",
            id="another-digest",
        ),
    ],
)
def test_a_list_that_shrank_or_changed_is_a_fault(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    if not message:
        assert patterns({"from": str(path), **options}) == ["alice", "bob"]
        return
    with pytest.raises(InvalidPolicyData, match=rf"exempt-from .*x\.csv: {message}"):
        patterns({"from": str(path), **options})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_digest_is_of_the_bytes_of_the_file(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(CSV.encode(encoding))
    assert patterns({"from": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}) == ["alice"]


def test_signatures_and_headers_stay_out_of_messages() -> None:
    data = {"url": "http://127.0.0.1:1/x.csv?X-Amz-Signature=s3cr3t", "headers": {"authorization": "t0k3n"}}
    with pytest.raises(EvidenceUnreadable) as unreadable:
        patterns(data)
    with pytest.raises(InvalidPolicyData) as invalid:
        parse_source({**data, "user": "x"}, "here")
    with pytest.raises(InvalidPolicyData) as formless:
        parse_source("https://example.com/x?token=s3cr3t", "here")
    for error in (unreadable, invalid, formless):
        assert "s3cr3t" not in str(error.value)
        assert "t0k3n" not in str(error.value)


def test_a_header_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    def read_place(_: str, headers: dict[str, str], __: Any, largest: int) -> bytes:
        assert largest == LARGEST_LIST
        seen.append(headers)
        return CSV.encode()

    monkeypatch.setattr("c7n_iamusers.plugins.exemption_list.read_place", read_place)
    data = {"from": "https://h/x.csv", "headers": {"Authorization": {"env": "LIST_TOKEN"}, "X-A": "b"}}
    monkeypatch.delenv("LIST_TOKEN", raising=False)
    with pytest.raises(
        EvidenceUnreadable, match="variable LIST_TOKEN, for the header Authorization, is not set"
    ):
        patterns(data)
    monkeypatch.setenv("LIST_TOKEN", "t0k3n")
    assert patterns(data) == ["alice"]
    assert seen == [{"Authorization": "t0k3n", "X-A": "b"}]
    assert "t0k3n" not in repr(parse_source(data, "here"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(None, "here: must be a path or URL.* not None", id="null"),
        pytest.param({"from": None}, r"here: must be a path or URL.* not \['from'\]", id="null-from"),
        pytest.param(
            {"from": "x.csv", "url": "x.csv"}, r"must be a path or URL.* not \['from', 'url'\]", id="both"
        ),
        pytest.param(
            {"from": "x.csv", "min-rules": 0}, "here: min-rules must be a number.* not 0", id="min-0"
        ),
        pytest.param(
            {"from": "x.csv", "min-rules": None}, "min-rules must be a number.* not None", id="min-null"
        ),
        pytest.param(
            {"from": "x.csv", "min-rules": True}, "min-rules must be a number.* not True", id="min-true"
        ),
        pytest.param(
            {"from": "x.csv", "sha256": "abc"}, "here: sha256 must be 64 hexadecimal digits", id="digest"
        ),
        pytest.param({"from": "x.csv", "sha256": None}, "sha256 must be .* not None", id="digest-null"),
        pytest.param("", "here: must be a path or URL", id="empty"),
        pytest.param(7, "here: must be a path or URL", id="number"),
        pytest.param(["x.csv"], "here: must be a path or URL", id="list"),
        pytest.param({"format": "csv"}, r"here: must be a path or URL, .* not \['format'\]", id="no-url"),
        pytest.param({"url": "x.csv", "expr": "a"}, "here: must be a path or URL", id="other-key"),
        pytest.param(
            "x.txt", "here: x.txt does not end in .json, .csv, .yaml or .yml: give format", id="ending"
        ),
        pytest.param({"url": "x", "format": "xml"}, "here: x does not end in", id="format"),
        pytest.param(
            {"url": "x.csv", "headers": ["a"]}, "here: headers must map names to texts", id="headers"
        ),
        pytest.param(
            {"url": "x.csv", "headers": {"a": 1}}, "here: headers must map names to texts", id="header"
        ),
        pytest.param(
            {"url": "x.csv", "headers": {"a": {"env": "A", "b": "c"}}}, "or to {env: NAME}", id="header-keys"
        ),
        pytest.param({"url": "x.csv", "headers": {"a": {"env": 1}}}, "or to {env: NAME}", id="header-env"),
    ],
)
def test_faulty_sources_name_the_place_and_the_remedy(data: Any, message: str) -> None:
    with pytest.raises(InvalidPolicyData, match=message):
        parse_source(data, "here")
