# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import pytest

from c7n_iamusers.cli.reading import details_in, report_in
from c7n_iamusers.exceptions import LocalOrgError

REPORT = "user,password_enabled\nana,true\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_are_read_in_the_encodings_of_shells(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file"
    path.write_text('{"UserDetailList": []}', encoding=encoding)
    assert details_in(path) == [{"UserDetailList": []}]
    path.write_text(REPORT, encoding=encoding)
    assert report_in(path) == REPORT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"UserDetailList" []}', "line 2, column 18: Expecting ':' delimiter"),
        (b"\xff\xff", "byte 0 is not utf-8 text"),
        (b"", "no JSON document"),
    ],
)
def test_an_error_names_the_file_and_the_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "details.json"
    path.write_bytes(content)
    with pytest.raises(LocalOrgError, match=re.escape(f"{path}: {message}")):
        details_in(path)


def test_a_report_is_checked_before_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("name,arn\n")
    with pytest.raises(LocalOrgError, match=re.escape(f"{path}: no `user` column")):
        report_in(path)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LocalOrgError, match="cannot be read"):
        details_in(tmp_path)
