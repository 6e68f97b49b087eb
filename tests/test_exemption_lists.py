# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import date

import pytest

from c7n_iamusers import exemptions
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.exemptions import ExemptionRule, format_of, parse_list

pytestmark = pytest.mark.pure

RULES = (
    ExemptionRule("user", "ci-*", "pipeline, for now", date(2027, 1, 31), "ops@example.com"),
    ExemptionRule("tag", "Purpose=x", "r", date(2027, 6, 30)),
)
JSON = """[
  {"user": "ci-*", "reason": "pipeline, for now", "expires": "2027-01-31", "owner": "ops@example.com"},

  {
    "tag": "Purpose=x", "reason": "r",
    "expires": "2027-06-30"
  }
]
"""
YAML = """# who may stay
- user: ci-*
  reason: pipeline, for now
  expires: 2027-01-31
  owner: ops@example.com
- {tag: Purpose=x, reason: r, expires: "2027-06-30"}
"""
CSV = """user,tag,reason,owner,expires
ci-*,,"pipeline, for now",ops@example.com,2027-01-31

,Purpose=x,r,,2027-06-30
"""


@pytest.mark.parametrize(
    ("form", "text"),
    [
        pytest.param("json", JSON, id="json"),
        pytest.param("yaml", YAML, id="yaml"),
        pytest.param("csv", CSV, id="csv"),
        pytest.param("yaml", JSON, id="json-as-yaml"),
        pytest.param("json", "\ufeff" + JSON.replace("\n", "\r\n\t"), id="json-with-mark-crlf-tabs"),
        pytest.param("csv", "\ufeff" + CSV.replace("\n", "\r\n"), id="csv-with-mark-crlf"),
        pytest.param("csv", CSV.replace("user,tag", " User , TAG "), id="csv-header-case-and-space"),
    ],
)
def test_lists(form: str, text: str) -> None:
    assert parse_list(text, form, "list") == RULES


@pytest.mark.parametrize("separator", [";", "\t"], ids=["semicolon", "tab"])
def test_other_separators(separator: str) -> None:
    text = f"{CSV.replace(chr(44), separator).replace('pipeline;', 'pipeline,')}".replace(
        "pipeline\t", "pipeline,"
    )
    assert parse_list(text, "csv", "list") == RULES


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    ("form", "text"), [("json", JSON), ("yaml", YAML), ("csv", CSV)], ids=["json", "yaml", "csv"]
)
def test_encodings_that_the_first_bytes_tell(form: str, text: str, encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith("e") else ""
    data = (mark + text.replace("pipeline", "pip\u00e9line")).encode(encoding)
    first, second = parse_list(data, form, "list")
    assert (first.reason, second) == ("pip\u00e9line, for now", RULES[1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            "user,reason,expires\nx,\u00e9t\u00e9,2027-01-01\n".encode("cp1252"),
            r"line 2: is not UTF-8, probably Windows-1252 \(cp1252\): save it as UTF-8",
            id="cp1252",
        ),
        pytest.param(
            CSV.encode("utf-16-le"), "line 1: has a NUL, .* UTF-16 without a byte order mark", id="no-mark"
        ),
        pytest.param(CSV.encode("utf-16")[:-1], "line 4: is damaged utf-16", id="half-a-character"),
    ],
)
def test_an_encoding_that_is_not_clear_is_named(data: bytes, message: str) -> None:
    with pytest.raises(InvalidPolicyData, match=f"list: {message}"):
        parse_list(data, "csv", "list")


def test_yaml_rules_may_share_what_an_anchor_names() -> None:
    text = "- &base\n  user: ci-*\n  reason: r\n  expires: 2027-06-30\n- <<: *base\n  user: app-*\n"
    found = parse_list(text, "yaml", "list")
    assert [(rule.pattern, rule.reason) for rule in found] == [("ci-*", "r"), ("app-*", "r")]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        pytest.param(
            "csv", "account,user,reason,expires,ticket,approved by\n{id},x,r,2027-01-01,X-1,me", id="csv"
        ),
        pytest.param(
            "yaml",
            "- {{account: {id}, user: x, reason: r, expires: 2027-01-01, ticket: 7}}",
            id="yaml-id-without-quotes",
        ),
        pytest.param(
            "json",
            '[{{"account": "{id}", "user": "x", "reason": "r", "expires": "2027-01-01", "region": "eu"}}]',
            id="json",
        ),
    ],
)
def test_an_account_and_columns_that_are_not_read(form: str, text: str) -> None:
    (rule,) = parse_list(text.format(id="011122223333"), form, "list")
    assert rule == ExemptionRule("user", "x", "r", date(2027, 1, 1), account="011122223333")


@pytest.mark.parametrize(
    "column",
    [
        "usr",
        "users",
        "user name",
        "User_Name",
        "paths",
        "tags",
        "grp",
        "accounts",
        "accnt",
        "aws-account",
        "account id",
        "expiry",
        "expire",
        "expires on",
        "reasons",
        "owners",
    ],
)
def test_a_column_that_resembles_one_that_is_read_is_refused(column: str) -> None:
    with pytest.raises(InvalidPolicyData, match=r"list line 2: there is no key .*: write '\w+', or"):
        parse_list(f"user,reason,expires,owner,{column}\nx,r,2027-01-01,o,z", "csv", "list")


@pytest.mark.parametrize(
    "column", ["ticket", "approved by", "approver", "comment", "team", "region", "created", "note"]
)
def test_free_columns(column: str) -> None:
    (rule,) = parse_list(f"user,reason,expires,{column}\nx,r,2027-01-01,z", "csv", "list")
    assert rule == ExemptionRule("user", "x", "r", date(2027, 1, 1))


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        pytest.param(
            "json", JSON.replace('"r"', '""'), r"^list line 4: reason must be a text", id="json-row"
        ),
        pytest.param(
            "yaml", YAML.replace("reason: r,", ""), r"^list line 6: reason is missing", id="yaml-row"
        ),
        pytest.param(
            "csv", CSV.replace("2027-06-30", "soon"), r"^list line 4: expires is not a date", id="csv-row"
        ),
        pytest.param(
            "csv",
            'user,reason,expires\nx,"two\nlines",2027-01-01\ny,,2027-01-01\n',
            r"^list line 4: reason is missing",
            id="csv-row-after-a-row-of-two-lines",
        ),
        pytest.param(
            "csv",
            'user,reason,expires\nx,"a test,2027-01-01\ny,a test,2027-01-01\nz,""a"" test",2027-01-01\n',
            r"^list line 2: has a cell with what looks like further rows",
            id="csv-quotation-mark-too-many",
        ),
        pytest.param("json", JSON.replace("}\n]", "}"), r"list: line 8: a comma or \]", id="json-unclosed"),
        pytest.param(
            "json", JSON.replace('"r",', '"r"'), "list: line 6, column 5: Expecting ','", id="json-comma"
        ),
        pytest.param(
            "json",
            JSON.replace("}\n]", "},\n]"),
            "list: line 7: an entry must follow a comma",
            id="json-tail",
        ),
        pytest.param("json", JSON + "x", "list: line 8: there is more after the list", id="json-more"),
        pytest.param("json", '{"user": "x"}', "list: line 1: must be a list of objects", id="json-mapping"),
        pytest.param("json", '[{"user": "x", "user": "y"}]', "list: line 1: duplicate key", id="json-twice"),
        pytest.param("yaml", "exempt: []", "list: line 1: must be a list of objects", id="yaml-mapping"),
        pytest.param("yaml", "- user: [x", "list: line 1: expected", id="yaml-broken"),
        pytest.param(
            "yaml", "-\n- user: !!python/name:os.system x", "list: line 2: has the tag", id="yaml-python"
        ),
        pytest.param(
            "yaml",
            "- a: b\n- {user: x, user: y}",
            "list: line 2: the key .user. is given twice",
            id="yaml-twice",
        ),
        pytest.param("yaml", "- user: a\u0000b", "list: line 1: is not YAML", id="yaml-control-character"),
        pytest.param(
            "csv", "name,reason\nx,y", "list: line 1: the header must name the columns", id="csv-header"
        ),
        pytest.param(
            "csv",
            "user,user,reason\nx,y,z",
            "list: line 1: the header has 'user' twice",
            id="csv-header-twice",
        ),
        pytest.param(
            "csv",
            "user,reason,expires\nx,a, b,c",
            "list line 2: has 4 cells, the header 3: quote a cell with a comma",
            id="csv-stray-comma",
        ),
        pytest.param(
            "csv",
            "user,reason,expires,\nx,r,2027-01-01,y",
            "list line 2: there is no key ''",
            id="csv-no-name",
        ),
        pytest.param("csv", 'user,reason\nx,"y', "list: line 2: ", id="csv-quote"),
        pytest.param(
            "csv",
            "user,usr,reason,expires\nx,y,r,2027-01-01",
            "line 2: there is no key 'usr': .*: write 'user'",
            id="csv-key",
        ),
        pytest.param(
            "yaml",
            "- user: x\n  reason: r\n  expires: 2027-13-45",
            "line 1: expires is not a date",
            id="yaml-day",
        ),
        pytest.param(
            "yaml",
            "- {user: x, reason: null, expires: 2027-01-01}",
            "line 1: reason is missing",
            id="yaml-null",
        ),
        pytest.param(
            "csv",
            "user;reason;expires\nx;a;b;c",
            "list line 2: .* quote a cell with a semicolon",
            id="csv-semicolon",
        ),
        pytest.param(
            "csv",
            "user;reason, owner;expires\nx;r;2027-01-01",
            "list: line 1: the header has a comma and a semicolon: use one of them",
            id="csv-two-separators",
        ),
        pytest.param(
            "csv",
            "user|reason|expires\nx|r|2027-01-01",
            "list: line 1: .*separated by a comma, a",
            id="csv-bar",
        ),
        pytest.param(
            "csv", "user;reason;expires\nx,r,2027-01-01", "list line 2: reason is missing", id="csv-mixed"
        ),
        pytest.param("json", "[7]", "list line 1: must be a mapping", id="json-number"),
    ],
)
def test_faults_have_their_line(form: str, text: str, message: str) -> None:
    with pytest.raises(InvalidPolicyData, match=message):
        parse_list(text, form, "list")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        pytest.param("json", "", id="json-nothing"),
        pytest.param("json", " [ ] ", id="json-empty"),
        pytest.param("yaml", "# nobody\n", id="yaml-nothing"),
        pytest.param("yaml", "[]", id="yaml-empty"),
        pytest.param("csv", "", id="csv-nothing"),
        pytest.param("csv", "user,reason,expires\n\n", id="csv-header-only"),
    ],
)
def test_an_empty_list_is_a_fault(form: str, text: str) -> None:
    with pytest.raises(InvalidPolicyData, match="list: has no rules"):
        parse_list(text, form, "list")


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(InvalidPolicyData, match=r"line 2: reason.*line 3: expires"):
        parse_list("user,reason,expires\nx,,2027-01-01\ny,r,soon\n", "csv", "list")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param("a/b.json", "json", id="json"),
        pytest.param("B.YML", "yaml", id="yml"),
        pytest.param("s3://bucket/x.yaml?region=eu-west-1", "yaml", id="query"),
        pytest.param("https://example.com/x.csv#top", "csv", id="fragment"),
        pytest.param("s3://bucket/x.json.gz", "json", id="compressed"),
        pytest.param("x.txt", "", id="other"),
        pytest.param("csv", "csv", id="bare-word"),
        pytest.param("x", "", id="none"),
    ],
)
def test_formats(name: str, form: str) -> None:
    assert format_of(name) == form


@pytest.mark.parametrize("columns", ["svc-{}*,", "name-{},team-{}-*"])
def test_a_list_of_too_many_patterns_is_refused(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemptions, "MOST_GLOBS", 2)
    rows = "".join(f"{columns.format(number, number)},r,2027-01-31\n" for number in range(3))
    with pytest.raises(
        InvalidPolicyData, match=r"line 4: there are more than 2 patterns and accounts with \*"
    ):
        parse_list(f"user,account,reason,expires\n{rows}", "csv", "x.csv")


def test_a_list_without_end_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemptions, "LARGEST_LIST", 20)
    with pytest.raises(InvalidPolicyData, match=r"x\.csv: has 21 bytes, and may have 20"):
        parse_list(b'"' * 21, "csv", "x.csv")


def test_a_reason_without_end_is_refused() -> None:
    with pytest.raises(InvalidPolicyData, match="reason has 1001 characters, and may have 1000"):
        parse_list(f"user,reason,expires\na,{'r' * 1001},2027-01-31\n", "csv", "x.csv")
