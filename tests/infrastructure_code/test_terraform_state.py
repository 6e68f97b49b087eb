# SPDX-License-Identifier: Apache-2.0
"""The users and keys that Terraform states manage, and states that can't be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.stores import DirectoryStore
from c7n_iamusers.infrastructure_code.state_places import MOST_STATES, read_states
from c7n_iamusers.infrastructure_code.terraform_state import StateIndex, resources_in
from c7n_iamusers.text.documents import NotInFormat

ACCOUNT = "111122223333"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"


def user_of(name: str, path: str = "/") -> Subject:
    return Subject(name, f"arn:aws:iam::{ACCOUNT}:user{path}{name}", "AIDAEXAMPLE")


def a_user(name: str, account: str | None = ACCOUNT, **more: Any) -> dict[str, Any]:
    arn = {"arn": f"arn:aws:iam::{account}:user/{name}"} if account else {}
    return {"schema_version": 0, "attributes": {"id": name, "name": name, **arn}, **more}


def a_resource(kind: str, *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    provider = 'provider["registry.terraform.io/hashicorp/aws"]'
    return {
        **{"mode": "managed", "type": kind, "name": "this", "provider": provider, "instances": [*instances]},
        **more,
    }


def a_state(*resources: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(
        {"version": 4, "terraform_version": "1.9.0", "serial": 1, "resources": [*resources], **more}
    ).encode()


@pytest.mark.parametrize(
    ("resource", "address"),
    [
        pytest.param(a_resource("aws_iam_user", a_user("ci")), "aws_iam_user.this", id="alone"),
        pytest.param(
            a_resource("aws_iam_user", a_user("ci", index_key=0)), "aws_iam_user.this[0]", id="count"
        ),
        pytest.param(
            a_resource("aws_iam_user", a_user("ci", index_key="ci")), 'aws_iam_user.this["ci"]', id="for_each"
        ),
        pytest.param(
            a_resource("aws_iam_user", a_user("ci", index_key="é")),
            'aws_iam_user.this["é"]',
            id="as-people-write",
        ),
        pytest.param(
            a_resource("aws_iam_user", a_user("ci"), module='module.team["a"].module.ci'),
            'module.team["a"].module.ci.aws_iam_user.this',
            id="module",
        ),
        pytest.param(
            a_resource("aws_iam_user", a_user("ci"), mode=None), "aws_iam_user.this", id="of-no-mode"
        ),
        pytest.param(
            a_resource("aws_iam_user", a_user("ci", deposed=None)), "aws_iam_user.this", id="not-deposed"
        ),
        pytest.param(
            a_resource(
                "awscc_iam_user",
                {
                    "attributes": {
                        "id": "ci",
                        "user_name": "ci",
                        "arn": f"arn:aws:iam::{ACCOUNT}:user/ci",
                    }
                },
            ),
            "awscc_iam_user.this",
            id="cloud-control",
        ),
        pytest.param(
            a_resource("aws_iam_user", {"attributes_flat": a_user("ci")["attributes"]}),
            "aws_iam_user.this",
            id="written-by-an-old-provider",
        ),
        pytest.param(
            a_resource(
                "aws_iam_user",
                {"attributes": {"id": "ci", "arn": f"arn:aws:iam::{ACCOUNT}:user/ci"}},
            ),
            "aws_iam_user.this",
            id="without-its-name",
        ),
    ],
)
def test_users_with_their_address(resource: dict[str, Any], address: str) -> None:
    (found,) = resources_in(a_state(resource), "s3://states/a.tfstate")
    assert (found.address, found.identifier, found.account_id) == (address, "ci", ACCOUNT)
    managed = StateIndex.of([found]).of_user(user_of("ci"))
    assert managed.found[0].where == f"{address} of s3://states/a.tfstate"
    assert managed.found[0].known == "by its state"
    assert "comes back at the next deploy: delete it there" in managed.text


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param(a_resource("aws_iam_user", a_user("ci"), mode="data"), id="read-only"),
        pytest.param(a_resource("aws_iam_user", a_user("ci", deposed="00000001")), id="deposed"),
        pytest.param(a_resource("aws_iam_role", a_user("ci")), id="a-role"),
        pytest.param(a_resource("aws_iam_user"), id="no-instance"),
    ],
)
def test_what_is_not_managed(resource: dict[str, Any]) -> None:
    assert resources_in(a_state(resource), "-") == []


def test_a_user_is_that_of_its_account_whatever_its_case_and_path() -> None:
    index = StateIndex.of(
        [
            *resources_in(a_state(a_resource("aws_iam_user", a_user("CI"))), "own"),
            *resources_in(a_state(a_resource("aws_iam_user", a_user("ci", "444455556666"))), "other"),
        ]
    )
    (found,) = index.of_user(user_of("ci", "/team/")).found
    assert found.where.endswith(" of own")
    assert index.of_user(user_of("other")).is_known is False


def test_a_user_without_an_account_may_be_any_of_that_name() -> None:
    index = StateIndex.of(resources_in(a_state(a_resource("aws_iam_user", a_user("ci", None))), "-"))
    (found,) = index.of_user(user_of("ci")).found
    assert found.known == "by its state, which has no account"


def test_keys_by_their_id_and_no_secret_is_kept() -> None:
    known = {"id": KEY_ID, "user": "ci", "secret": SECRET, "ses_smtp_password_v4": SECRET, "status": "Active"}
    state = a_state(
        a_resource("aws_iam_access_key", {"attributes": known}), outputs={"secret": {"value": SECRET}}
    )
    found = resources_in(state, "-")
    managed = StateIndex.of(found).of_key(KEY_ID)
    assert managed.found[0].where == "aws_iam_access_key.this of -"
    assert "manages its access key" in managed.text
    assert SECRET not in repr((found, managed, managed.text))
    assert StateIndex.of(found).of_key("AKIAOTHEROTHEROTHERX").is_known is False


@pytest.mark.parametrize(
    ("owner", "managed"),
    [(None, True), (ACCOUNT, True), ("444455556666", False)],
    ids=["no-account", "its-account", "another-account"],
)
def test_a_key_counts_for_its_user_in_the_account_of_the_state(owner: str | None, managed: bool) -> None:
    its = {"attributes": {"id": KEY_ID, "user": "CI", "secret": SECRET}}
    key, users = a_resource("aws_iam_access_key", its), [a_resource("aws_iam_user", a_user("ci", owner))]
    found = [each for each in resources_in(a_state(key, *(users if owner else ())), "-") if each.user]
    index = StateIndex.of(found)
    assert index.of_user(user_of("ci")).is_known is managed
    assert index.of_user(user_of("ci"), with_keys=False).is_known is False
    assert index.of_key(KEY_ID).is_known


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(json.dumps({"version": 3, "modules": []}), "but of 3: terraform 0.12 or newer", id="v3"),
        pytest.param(json.dumps({"version": 5}), "but of 5", id="v5"),
        pytest.param(json.dumps({"version": True}), "but of True", id="no-version"),
        pytest.param(
            json.dumps(
                {
                    "meta": {"key_provider.pbkdf2.x": "e30="},
                    "encrypted_data": SECRET,
                    "encryption_version": "v0",
                }
            ),
            "is encrypted by OpenTofu",
            id="encrypted",
        ),
        pytest.param(json.dumps({"version": 4}), "has no resources", id="without-resources"),
        pytest.param("[]", "no JSON object", id="a-list"),
        pytest.param(f'{{"secret": "{SECRET}"', "line 1", id="cut-off"),
        pytest.param("resource {}", "line 1", id="not-json"),
        pytest.param(
            json.dumps({"version": 4, "resources": {}}).replace("{}", '{"a": 1}'), "no list", id="no-list"
        ),
        pytest.param(json.dumps({"version": 4, "resources": [SECRET]}), "no object", id="no-object"),
        pytest.param(
            a_state(a_resource("aws_iam_user", {"attributes": {"arn": None, "secret": SECRET}})),
            "aws_iam_user.this without a name",
            id="no-name",
        ),
        pytest.param(
            a_state(a_resource("aws_iam_user", {"attributes": SECRET})), "no object", id="no-attributes"
        ),
    ],
)
def test_what_is_no_readable_state_is_refused_without_its_content(content: Any, why: str) -> None:
    with pytest.raises(NotInFormat, match=why) as raised:
        resources_in(content, "-")
    assert SECRET not in str(raised.value)
    assert raised.value.line == int(why == "line 1")


def test_an_arn_that_is_none_says_no_account() -> None:
    resource = a_resource("aws_iam_user", {"attributes": {"id": "ci", "arn": "a:b:c:d:e"}})
    (found,) = resources_in(a_state(resource), "-")
    assert (found.identifier, found.account_id) == ("ci", "")


def test_a_key_may_be_of_any_account_where_several_have_its_user() -> None:
    key = a_resource("aws_iam_access_key", {"attributes": {"id": KEY_ID, "user": "ci"}})
    users = a_resource("aws_iam_user", a_user("ci"), a_user("ci", "444455556666"))
    assert [each.account_id for each in resources_in(a_state(key, users), "-")] == [
        *("", ACCOUNT, "444455556666")
    ]
    nobodys = a_resource("aws_iam_access_key", {"attributes": {"id": KEY_ID}})
    nameless = a_resource("aws_iam_user", a_user("ci"))
    assert resources_in(a_state(nobodys, nameless), "-")[0].account_id == ""


def refused(_: str) -> bytes:
    raise PermissionError(13, "denied")


def contents(of: dict[str, bytes]) -> Callable[[str], bytes]:
    return lambda place: of[place] if place in of else refused(place)


def test_an_unread_state_makes_everybody_else_unknown() -> None:
    states = {
        "a.tfstate": a_state(a_resource("aws_iam_user", a_user("ci"))),
        "b.tfstate": b'{"version": 3}',
    }
    index = read_states([*states, "c.tfstate?token=x"], contents(states), refused)  # type: ignore[arg-type]
    assert index.of_user(user_of("ci")).is_known is True
    other = index.of_user(user_of("other"))
    assert other.is_known is None
    assert [each.partition(":")[0] for each in other.unread] == ["b.tfstate", "c.tfstate"]
    assert index.of_key(KEY_ID).is_known is None


def test_all_states_below_a_directory(tmp_path: Path) -> None:
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod" / "ci.tfstate").write_bytes(a_state(a_resource("aws_iam_user", a_user("ci"))))
    (tmp_path / "ci.tfstate.tflock").write_text("{}")
    (tmp_path / "README").write_text("no state")
    index = read_states([f"{tmp_path}/"], refused, lambda _: DirectoryStore(tmp_path))
    assert index.unread == ()
    assert index.of_user(user_of("ci")).found[0].where.endswith("prod/ci.tfstate")


def test_a_directory_without_states_is_unread(tmp_path: Path) -> None:
    index = read_states([f"{tmp_path}/"], refused, lambda _: DirectoryStore(tmp_path))
    assert "there is no state below it" in index.unread[0]


class Listed:
    """A store that has states of these names, each gone when it is read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def names(self, _: str) -> list[str]:
        return [f"{number}.tfstate" for number in range(self.count)]

    def place(self, name: str) -> str:
        return f"s3://states/{name}"

    def read(self, _: str, __: int) -> None:
        return None


def test_so_many_states_are_read_and_no_more() -> None:
    def unread(count: int) -> tuple[str, ...]:
        store: Any = Listed(count)
        return read_states(["s3://states/"], refused, lambda _: store).unread

    assert unread(1) == ("s3://states/0.tfstate: it is gone",)
    assert len(unread(MOST_STATES)) == MOST_STATES
    (why,) = unread(MOST_STATES + 1)
    assert "more than 2000: name several prefixes" in why
