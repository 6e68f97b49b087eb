# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import yaml_file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("vars: {}\nvars: {}", "line 2: the key 'vars' is given twice", id="twice"),
        pytest.param("- a", "it is no mapping", id="list"),
        pytest.param("a: [", "can't be read", id="broken"),
    ],
)
def test_what_is_no_accounts_file(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "accounts.yml"
    file.write_text(text)
    with pytest.raises(LocalOrgError, match=told) as error:
        yaml_file(file)
    assert str(file) in str(error.value)
