# SPDX-License-Identifier: Apache-2.0
"""Policies for named users: whatever form the file has, they select these and nobody else, or nothing is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n.config import Config
from c7n.policy import PolicyCollection
from c7n.resources import load_resources
from click.testing import CliRunner, Result

from c7n_iamusers import register
from c7n_iamusers_cli.main import main
from tests.readme import ROOT

EVERYBODY = sorted(["alice", "bob", "carol", "present", "absent", "not-null", "empty"])
PLAIN = """\
vars:
  team: &team "{contact}"
policies:
  - name: one
    resource: aws.iam-user
    filters:
      - UserName: not-null
    actions: []
  - name: two
    resource: iam-user
    description: *team
    filters:
      - or:
          - UserName: not-null
          - Path: /
"""
#: What the documented edit of the text did not find.
FORMS = {
    "plain": PLAIN.encode(),
    "crlf": PLAIN.replace("\n", "\r\n").encode(),
    "bom": b"\xef\xbb\xbf" + PLAIN.encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "anchor": b"""\
vars:
  users: &users
    - UserName: not-null
policies:
  - name: one
    resource: aws.iam-user
    filters: *users
  - {name: two, resource: aws.iam-user, filters: *users}
""",
    "merge-key": b"""\
vars:
  base: &base
    resource: aws.iam-user
    filters:
      - UserName: not-null
policies:
  - <<: *base
    name: one
  - name: two
    <<: *base
    description: its own
""",
    "indented-otherwise": b"""\
policies:
-   name: one
    resource: aws.iam-user
    filters:   # everybody
    -   UserName: not-null
-   name: two
    resource: aws.iam-user
    "filters": [UserName: not-null]
""",
    "without-filters-in-the-list": b"""\
policies:
- {name: one, resource: aws.iam-user, filters: []}
- {name: two, resource: aws.iam-user, filters: []}
""",
}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only(content: bytes | str, *arguments: str, file: str = "all.yml") -> Result:
    Path(file).write_bytes(content.encode() if isinstance(content, str) else content)
    result = CliRunner().invoke(main, ["only", "-u", file, *arguments])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def written(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = yaml.safe_load(result.stdout)
    return found


def selected(data: dict[str, Any]) -> dict[str, list[str]]:
    """Policy -> whom c7n's own filters select."""
    load_resources(("aws.iam-user",))
    register()
    options = Config.empty(region="us-east-1", account_id="111122223333")
    users = [{"UserName": name, "Path": "/"} for name in EVERYBODY]
    return {
        policy.name: sorted(each["UserName"] for each in policy.resource_manager.filter_resources(users))
        for policy in PolicyCollection.from_data({"policies": data["policies"]}, options)
    }


@pytest.mark.parametrize("form", FORMS)
def test_every_policy_selects_the_named_user_alone(form: str) -> None:
    before, after = yaml.safe_load(FORMS[form]), written(only(FORMS[form], "--user", "bob"))
    assert selected(before) == {"one": EVERYBODY, "two": EVERYBODY}
    assert selected(after) == {"one": ["bob"], "two": ["bob"]}
    for each, narrowed in zip(before["policies"], after["policies"], strict=True):
        assert narrowed["filters"][1:] == each["filters"]
        assert {**narrowed, "filters": []} == {**each, "filters": []}
    assert after.get("vars") == before.get("vars")


@pytest.mark.parametrize("name", ["present", "absent", "not-null", "empty"])
def test_a_name_with_a_meaning_for_the_filter_is_a_name(name: str) -> None:
    assert selected(written(only(PLAIN, "--user", name))) == {"one": [name], "two": [name]}


def test_several_users_and_one_policy() -> None:
    found = written(only(PLAIN, "-p", "two", "--user", "carol", "--user", "alice", "--user", "carol"))
    assert selected(found) == {"two": ["alice", "carol"]}
    assert found["vars"] == {"team": "{contact}"}


#: The first word of a file of policies that can't be narrowed to users, and why.
REFUSED = {
    "keys": "its resource is 'aws.iam-access-key', and not aws.iam-user",
    "realtime": "is deployed as a function",
}


@pytest.mark.parametrize(
    "name", [each for each in sorted(os.listdir(ROOT / "policies")) if each.endswith(".yml")]
)
def test_the_shipped_policies_are_narrowed_or_refused(name: str) -> None:
    text = (ROOT / "policies" / name).read_text()
    for content in (text, text.replace("\n", "\r\n")):
        result = only(content, "--user", "bob")
        if told := REFUSED.get(name.partition("-")[0].partition(".")[0]):
            assert result.exit_code == 1
            assert told in result.output
            continue
        given, found = yaml.safe_load(text)["policies"], written(result)["policies"]
        assert [each["name"] for each in found] == [each["name"] for each in given]
        bob, nobody = (
            {"type": "value", "key": "UserName", "op": "in", "value": ["bob"]},
            {"UserName": "absent"},
        )
        for each in found:
            assert each["filters"][0] in (bob, nobody)
        # what tells of the outcomes of others stays: `report --check` would otherwise miss the name there
        telling = [nobody in each["filters"] for each in given]
        assert [bob not in each["filters"] for each in found] == telling
        assert bob in found[0]["filters"]


def test_nobody_is_released_before_somebody_is_named() -> None:
    text = (ROOT / "policies" / "release.yml").read_text()

    def by_name(data: dict[str, Any]) -> dict[str, list[str]]:
        (policy,) = data["policies"]
        return selected({"policies": [{**policy, "filters": policy["filters"][:1], "actions": []}]})

    assert by_name(yaml.safe_load(text)) == {"iam-users-release": []}
    assert by_name(written(only(text, "--user", "bob"))) == {"iam-users-release": ["bob"]}


def test_variables_can_be_filled_into_the_text() -> None:
    """As ``custodian run --vars-file`` does it."""
    text = only((ROOT / "policies" / "listen.yml").read_text(), "--user", "bob").stdout
    values = {
        "listen_after_days": 16,
        "quarantined_for_days": 14,
        "active_within_days": 30,
        **dict.fromkeys(("owner", "account_name", "contact", "start_url", "queue_url"), "x"),
        "notices": "s3://b/it's",
        "records": "output",
        "person_email": "tag:Email",
    }
    center = {"identity_center_role": "arn:aws:iam::1:role/R", "identity_center_region": "us-east-1"}
    found = yaml.safe_load(text.format(**values, **center))["policies"]
    assert {each["actions"][0]["notices"] for each in found} == {"s3://b/it's"}


def test_a_narrowed_file_is_narrowed_further_and_never_widened() -> None:
    two = only(PLAIN, "--user", "alice", "--user", "bob").stdout
    assert only(two, "--user", "alice", "--user", "bob").stdout == two
    one = only(two, "--user", "bob").stdout
    assert one == only(PLAIN, "--user", "bob").stdout == only(one, "--user", "bob").stdout
    for content in (one, two, one.replace("- bob", "- bob\n    - alice")):
        result = only(content, "--user", "bob", "--user", "carol")
        assert result.exit_code == 1
        assert "to carol: it is for " in result.output
        assert "begin with the file for all users" in result.output


@pytest.mark.parametrize(
    "condition",
    [
        {"UserName": "alice"},
        {"type": "value", "key": "UserName", "value": "alice"},
        {"type": "value", "key": "UserName", "op": "eq", "value": "alice"},
        {"type": "value", "key": "UserName", "op": "in", "value": ["alice"]},
    ],
    ids=str,
)
def test_a_condition_by_hand_is_one_on_names(condition: dict[str, Any]) -> None:
    policy = {"name": "p", "resource": "aws.iam-user", "filters": [{"Path": "/"}, condition]}
    text = yaml.safe_dump({"policies": [policy]})
    assert only(text, "--user", "bob").exit_code == 1
    assert selected(written(only(text, "--user", "alice"))) == {"p": ["alice"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("policies: []", "no list named policies", id="none"),
        pytest.param("", "no list named policies", id="empty"),
        pytest.param("- a", "no list named policies", id="list"),
        pytest.param("policies: [a]", "entry 1 of policies is no policy with a name", id="text"),
        pytest.param(
            "policies:\n- {resource: aws.iam-user, filters: []}", "no policy with a name", id="name"
        ),
        pytest.param(
            "policies:\n- {name: p, resource: aws.iam-user}", "it has no list of filters", id="filters"
        ),
        pytest.param(
            "policies:\n- {name: p, resource: aws.iam-user, filters: {UserName: a}}",
            "no list of filters",
            id="map",
        ),
        pytest.param(
            "policies:\n- {name: p, resource: aws.s3, filters: []}", "'aws.s3', and not", id="resource"
        ),
        pytest.param(
            "policies:\n- {name: p, resource: aws.iam-user, filters: [], mode: {type: cloudtrail}}",
            "deployed as a function",
            id="mode",
        ),
        pytest.param(
            "policies:\n- {name: p, resource: [aws.iam-user], filters: []}", "not aws", id="resources"
        ),
        pytest.param("policies:\n\t- name: p", "line 2", id="tab"),
        pytest.param("policies: *none", "none", id="alias"),
        pytest.param("policies: [{name: a, name: b}]", "name", id="key-twice"),
        pytest.param("a: &a [*a]\npolicies: []", "", id="endless"),
    ],
)
def test_what_can_not_be_narrowed_writes_nothing(content: str, told: str) -> None:
    Path("one.yml").write_text("before")
    good = (
        "\n- {name: good, resource: aws.iam-user, filters: []}" if content.startswith("policies:\n- ") else ""
    )
    for each in (content, content + good):
        result = only(each, "--user", "bob", "-o", "one.yml", "--force")
        assert result.exit_code == 1
        assert told in result.output
        assert Path("one.yml").read_text() == "before"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(("--user", "bo*"), "is a pattern", id="star"),
        pytest.param(("--user", "b?b"), "is a pattern", id="question-mark"),
        pytest.param(("--user", "[ab]ob"), "is a pattern", id="brackets"),
        pytest.param(("--user", ""), "not the name of an IAM user", id="empty"),
        pytest.param(("--user", "bob "), "not the name of an IAM user", id="space"),
        pytest.param(("--user", "team/bob"), "not the name of an IAM user", id="path"),
        pytest.param(("--user", "bob\n"), "not the name of an IAM user", id="line"),
        pytest.param(("--user", "b\u043eb"), "not the name of an IAM user", id="cyrillic"),
        pytest.param(("--user", "b" * 65), "not the name of an IAM user", id="long"),
        pytest.param(("--user", "bob", "--user", "c*"), "is a pattern", id="second"),
        pytest.param((), "Missing option '--user'", id="nobody"),
        pytest.param(("--user", "bob", "-o", "one.json"), "must end with .yml", id="json"),
    ],
)
def test_a_name_that_is_none_is_refused(arguments: tuple[str, ...], told: str) -> None:
    result = only(PLAIN, *arguments)
    assert result.exit_code == 2
    assert told in result.output


def test_an_unknown_policy_is_refused() -> None:
    result = only(PLAIN, "--user", "bob", "-p", "one", "-p", "tow")
    assert result.exit_code == 1
    assert "it has no policy tow, but one, two" in result.output


def test_a_file_is_private_and_replaces_no_other(directory: Path) -> None:
    given = ("--user", "bob", "-o", "one.yml")
    assert only(PLAIN, *given).exit_code == 0
    first = Path("one.yml").read_text()
    assert Path("one.yml").stat().st_mode & 0o777 == 0o600
    assert only(PLAIN, *given).exit_code == 0
    Path("one.yml").write_text("mine")
    refused = only(PLAIN, *given)
    assert (refused.exit_code, Path("one.yml").read_text()) == (1, "mine")
    assert "one.yml exists with other content" in refused.output
    assert only(PLAIN, *given, "--force").exit_code == 0
    assert Path("one.yml").read_text() == first
    assert sorted(os.listdir(directory)) == ["all.yml", "one.yml"]


@pytest.mark.parametrize("link", ["same", "symbolic", "hard"])
def test_the_file_that_is_read_stays(link: str) -> None:
    Path("all.yml").touch()
    {
        "same": lambda: None,
        "symbolic": lambda: os.symlink("all.yml", "l.yml"),
        "hard": lambda: os.link("all.yml", "l.yml"),
    }[link]()
    result = only(PLAIN, "--user", "bob", "--force", "-o", "all.yml" if link == "same" else "l.yml")
    assert result.exit_code == 1
    assert "is the file that is read" in result.output
    assert Path("all.yml").read_text() == PLAIN


def test_nothing_but_a_file_is_replaced() -> None:
    os.mkfifo("pipe.yml")
    result = only(PLAIN, "--user", "bob", "--force", "-o", "pipe.yml")
    assert result.exit_code == 1
    assert Path("pipe.yml").is_fifo()


def test_json_is_read_as_cloud_custodian_does() -> None:
    text = '{"policies": [{"name": "p", "resource": "aws.iam-user", "filters": []}]}'
    assert selected(written(only(text, "--user", "bob", file="all.json"))) == {"p": ["bob"]}
