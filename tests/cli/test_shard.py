# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from c7n_iamusers_cli.main import main
from c7n_iamusers_cli.shard import balanced, shard_of

ACCOUNTS = """\
vars: &all {notices: "s3://notices/all"}
accounts:
  # one that other YAML readers would take for a number
  - {name: payments, account_id: "012345670123", role: R, vars: *all}
  - {name: research, account_id: "444455556666", role: R, tags: ["wave:1"]}
  - {name: team/platform, account_id: "777788889999", role: R}
"""


def shard(path: Path, of: int, *indexes: int) -> Result:
    chosen = [f"--index={index}" for index in indexes]
    return CliRunner().invoke(main, ["shard", "-c", str(path), *chosen, "--of", str(of)])


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.yml"
    path.write_text(ACCOUNTS)
    return path


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_each_account_is_in_one_shard(accounts: Path, of: int) -> None:
    everything = yaml.safe_load(accounts.read_text())
    printed = [shard(accounts, of, index) for index in range(of)]
    parts = [yaml.safe_load(each.stdout) for each in printed]
    # one without accounts says so
    assert [each.exit_code for each in printed] == [0 if each["accounts"] else 3 for each in parts]
    assert [": c7n-org run -c does nothing" in each.stderr for each in printed] == [
        not each["accounts"] for each in parts
    ]
    assert all(each["vars"] == everything["vars"] for each in parts)
    rows = [row for each in parts for row in each["accounts"]]
    assert sorted(rows, key=str) == sorted(everything["accounts"], key=str)
    together = yaml.safe_load(shard(accounts, of, *range(of)).stdout)
    assert together == everything


@pytest.mark.parametrize(
    ("account_id", "of", "index"),
    [
        # later versions must not move accounts: a run that was killed is carried on by the same shard
        pytest.param("111122223333", 16, 10, id="payments"),
        pytest.param("444455556666", 16, 5, id="research"),
        pytest.param("777788889999", 16, 9, id="platform"),
        pytest.param("777788889999", 1, 0, id="one-shard"),
    ],
)
def test_the_shard_of_an_account_stays(account_id: str, of: int, index: int) -> None:
    assert shard_of(account_id, of) == index


def test_shards_are_about_equal() -> None:
    sizes = [0] * 16
    for number in range(3200):
        sizes[shard_of(f"{100000000000 + number * 7919:012}", 16)] += 1
    assert 150 < min(sizes) <= max(sizes) < 250


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("accounts: [{name: a, account_id: 111122223333}]", "in quotes", id="a number"),
        pytest.param("accounts: [{name: a}]", "account 1 has the account_id None", id="no id"),
        pytest.param("accounts: [a]", "account 1 has the account_id None", id="no mapping"),
        pytest.param("subscriptions: []", "has no list `accounts`", id="another cloud"),
        pytest.param("- a", "has no list `accounts`", id="a list"),
        pytest.param("accounts: [", "accounts file: line 1: expected the node content", id="no YAML"),
        pytest.param("a: !x 1", "accounts file: line 1: has the tag !x, which is not read", id="a tag"),
        pytest.param("a: \0", "accounts file: line 1: has a NUL", id="no text"),
        pytest.param("[" * 2000, "accounts file: line 1: is nested too deeply", id="deep"),
        pytest.param(
            'accounts: [{name: a, account_id: "111122223333"}]\nvars: {}\naccounts: []',
            "line 3: the key 'accounts' is given twice",
            id="a list twice",
        ),
        pytest.param(
            'accounts:\n- {account_id: "111122223333", name: a, vars: {b: 1, b: 2}}',
            "line 2: the key 'b' is given twice",
            id="a variable twice",
        ),
        *(
            pytest.param(
                f'accounts: [{{account_id: "111122223333"{name}}}]',
                f"account 1 (111122223333) has the name {said}: give it one that can be a directory",
                id=f"name{name}",
            )
            for name, said in (
                ("", "None"),
                (", name: ''", "''"),
                (", name: 12", "12"),
                (", name: ..", "'..'"),
                (", name: ../../x", "'../../x'"),
                (", name: a/../b", "'a/../b'"),
                (", name: /x", "'/x'"),
                (", name: ./x", "'./x'"),
            )
        ),
        pytest.param(
            """accounts: [{name: Pay, account_id: "111122223333"}, {name: pay, account_id: "444455556666"}]""",
            "accounts 1 (Pay, 111122223333) and 2 (pay, 444455556666) have the same name: c7n-org",
            id="upper and lower case",
        ),
        pytest.param(
            """accounts: [{name: a, account_id: "111122223333"}, {name: b, account_id: "111122223333"}]""",
            "accounts 1 (a, 111122223333) and 2 (b, 111122223333) have the same account_id: its users",
            id="an account twice",
        ),
        pytest.param(
            """accounts: [{name: a, account_id: "111122223333"}, {name: a, account_id: "444455556666"}]""",
            "accounts 1 (a, 111122223333) and 2 (a, 444455556666) have the same name: c7n-org",
            id="a name twice",
        ),
    ],
)
def test_a_file_that_would_leave_accounts_out_or_run_them_twice_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "accounts.yml").write_text(text)
    result = shard(tmp_path / "accounts.yml", 1, 0)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    # one line, without escaped line breaks
    assert "\\u000a" not in result.stderr


def test_an_index_that_no_shard_has_is_refused(accounts: Path) -> None:
    result = shard(accounts, 4, 4)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--index is from 0 to 3 with --of 4" in result.stderr


def test_shards_have_about_as_many_users_each(accounts: Path, tmp_path: Path) -> None:
    users = {f"{number:012}": 10 * number for number in range(1, 100)} | {"999999999999": 5000}
    found = balanced([*users, "888888888888"], users, 4)
    loads = Counter[int]()
    for account, index in found.items():
        loads[index] += users.get(account, 0)
    largest = found["999999999999"]
    # one account alone has as much as a shard; the others are even
    assert [
        account for account, index in found.items() if index == largest and users.get(account, 0) > 1000
    ] == ["999999999999"]
    rest = [load for index, load in loads.items() if index != largest]
    assert max(rest) - min(rest) < 1100
    assert found == balanced(["888888888888", *reversed(users)], users, 4)


def test_the_numbers_of_a_report_decide_where_they_are_known(accounts: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "users.json"
    command = ["shard", "-c", str(accounts), "--of", "2", "--users", str(numbers)]

    def names(index: int) -> set[str]:
        result = CliRunner().invoke(main, [*command, "--index", str(index)])
        found = {each["name"] for each in yaml.safe_load(result.stdout)["accounts"]}
        assert result.exit_code == (0 if found else 3), result.output
        return found

    # no file yet: by the ids alone
    expected = yaml.safe_load(shard(accounts, 2, 0).stdout)["accounts"]
    assert names(0) == {each["name"] for each in expected}
    numbers.write_text('{"444455556666": 900, "777788889999": 300, "012345670123": 300}')
    assert (names(0), names(1)) == ({"research"}, {"payments", "team/platform"})
    for wrong in ('{"444455556666": -1}', "[]", "{", '{"444455556666": "9"}'):
        numbers.write_text(wrong)
        assert CliRunner().invoke(main, [*command, "--index", "0"]).exit_code == 1
