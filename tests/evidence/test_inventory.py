# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.iam.policy_documents import default_documents

VERSIONS = [
    {"VersionId": "v2", "IsDefaultVersion": False, "Document": "two"},
    {"VersionId": "v1", "IsDefaultVersion": True, "Document": "one"},
]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param({"DefaultVersionId": "v1", "PolicyVersionList": VERSIONS}, {"arn": "one"}, id="by-id"),
        pytest.param({"PolicyVersionList": VERSIONS}, {"arn": "one"}, id="by-mark"),
        pytest.param({"PolicyVersionList": VERSIONS[1]}, {"arn": "one"}, id="single"),
        pytest.param({"DefaultVersionId": "v3", "PolicyVersionList": VERSIONS}, {}, id="version-missing"),
        pytest.param({"DefaultVersionId": "v1"}, {}, id="no-versions"),
        pytest.param({"PolicyVersionList": [{"IsDefaultVersion": True}]}, {}, id="no-document"),
    ],
)
def test_the_document_in_force(policy: dict[str, Any], expected: dict[str, Any]) -> None:
    assert default_documents([{"Arn": "arn", **policy}]) == expected
