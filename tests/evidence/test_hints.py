# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from c7n_iamusers.evidence.model import Hint
from c7n_iamusers.evidence.naming_hints import (
    is_ci,
    is_vendor,
    machine_indicator,
    parse_hints,
    person_indicator,
)
from c7n_iamusers.exceptions import InvalidPolicyData
from tests.records import user

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("name", "path", "found"),
    [
        pytest.param("ci-checkout", "/", True, id="ci"),
        pytest.param("svc_mailer", "/", True, id="underscore"),
        pytest.param("Terraform", "/", True, id="capital"),
        pytest.param("ses-smtp-user.20230101-120000", "/", True, id="ses"),
        pytest.param("app1", "/", True, id="number"),
        pytest.param("x", "/service-accounts/eu/", True, id="path"),
        pytest.param("cicero", "/", False, id="begins-alike"),
        pytest.param("abbot", "/", False, id="ends-alike"),
        pytest.param("dana.smith", "/engineering/", False, id="person"),
        pytest.param("x", "/cities/", False, id="path-begins-alike"),
    ],
)
def test_signs_of_a_machine(name: str, path: str, found: bool) -> None:
    assert bool(machine_indicator(user(name, path=path))) is found


@pytest.mark.parametrize(
    ("name", "tags", "found"),
    [
        pytest.param("omega", {"Email": "a@example.com"}, True, id="e-mail-tag"),
        pytest.param("omega", {"GIVENNAME": "A"}, True, id="tag-in-capitals"),
        pytest.param("a.b@example.com", {}, True, id="e-mail"),
        pytest.param("dana.smith", {}, True, id="full-name"),
        pytest.param("josé.núñez", {}, True, id="letters-of-any-alphabet"),
        pytest.param("omega", {"Owner": "a@example.com"}, False, id="owner-tag"),
        pytest.param("omega", {}, False, id="word"),
        pytest.param("v1.2", {}, False, id="version"),
        pytest.param("a.smith", {}, False, id="too-short-to-tell"),
    ],
)
def test_signs_of_a_person(name: str, tags: dict[str, str], found: bool) -> None:
    assert bool(person_indicator(user(name, tags=tags))) is found


def test_vendors_and_pipelines() -> None:
    assert is_vendor(user("x", path="/Vendors/"))
    assert is_vendor(user("siem-integration"))
    assert not is_vendor(user("ci-vendoring"))
    assert is_ci(user("github-deployer"))
    assert not is_ci(user("mailer"))


def test_hints_from_a_policy() -> None:
    data = {"machine": {"user": ["bot-*", "app-*"], "tag": "Kind=machine"}, "human": {"path": "/people/*"}}
    assert parse_hints(data, "hints") == (
        Hint("machine", "user", "bot-*"),
        Hint("machine", "user", "app-*"),
        Hint("machine", "tag", "Kind=machine"),
        Hint("human", "path", "/people/*"),
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(["bot-*"], "hints: must map kinds to patterns", id="list"),
        pytest.param(
            {"robot": {"user": "x"}}, "hints.robot: a hint can say human, machine, mixed", id="kind"
        ),
        pytest.param(
            {"unknown": {"user": "x"}}, "hints.unknown: a hint can say", id="kind-that-says-nothing"
        ),
        pytest.param({"human": ["x"]}, "hints.human: must map user, path, tag, group", id="fields"),
        pytest.param({"human": {"name": "x"}}, "hints.human: must map user, path, tag, group", id="field"),
        pytest.param({"human": {"user": ""}}, "hints.human.user: must be a shell glob", id="empty"),
        pytest.param({"human": {"user": [7]}}, "hints.human.user: must be a shell glob", id="number"),
        pytest.param({"human": {"tag": "Kind"}}, "hints.human.tag: 'Kind' must be Key=glob", id="tag"),
        pytest.param({"human": {"user": "/x"}}, "hints.human.user: '/x' matches no user", id="no-name"),
        pytest.param({"human": {"path": "people/*"}}, "hints.human.path: .* matches no path", id="no-path"),
        pytest.param({"human": {"user": None}}, "hints.human.user: must be a shell glob", id="null"),
    ],
)
def test_faulty_hints_name_the_place_and_the_mend(data: Any, message: str) -> None:
    with pytest.raises(InvalidPolicyData, match=message):
        parse_hints(data, "hints")
