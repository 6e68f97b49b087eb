# SPDX-License-Identifier: Apache-2.0
"""What Cloud Custodian's own validation, by JSON Schema, says of policies before the plugins do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from c7n import schema
from c7n.actions.notify import Notify
from c7n.exceptions import PolicyValidationError
from c7n.resources import load_resources

import c7n_iamusers
from c7n_iamusers.entry import ACTIONS, FILTERS, load_classes, register
from c7n_iamusers.evidence.findings import FINDING_IDS
from c7n_iamusers.evidence.model import KINDS
from c7n_iamusers.evidence.selection import OPTIONS
from c7n_iamusers.plugins.unnecessary import Unnecessary
from tests.policies import policy

CLASSES = load_classes({**FILTERS, **ACTIONS})
RULE = {"user": "x", "reason": "r", "expires": "2999-12-31"}
DIGEST = "0" * 64


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    load_resources(("aws.iam-user",))
    register()
    found: dict[str, Any] = schema.generate(("aws.iam-user",))
    return found


def errors(whole: dict[str, Any], data: dict[str, Any]) -> str:
    """What `custodian validate` says of the policy's form; empty where nothing."""
    given = {"name": "under-test", "resource": "aws.iam-user", **data}
    found = schema.validate({"policies": [given]}, whole)
    return str(found[0]) if found else ""


def examples(name: str) -> list[dict[str, Any]]:
    """The policies in a plugin's docstring."""
    example = re.search(r"code-block:: yaml\n\n(.*)", CLASSES[name].__doc__ or "", re.DOTALL)
    assert example
    found: list[dict[str, Any]] = yaml.safe_load(example.group(1))["policies"]
    return found


def test_unnecessary_spells_its_options_out() -> None:
    found = Unnecessary.schema["properties"]
    assert set(found) == {"type", "exempt", "exempt-from", "spare", *OPTIONS}
    assert all(found.values())
    assert found["kinds"]["items"]["enum"] == list(KINDS)
    assert found["findings"]["properties"]["none-of"]["items"]["enum"] == list(FINDING_IDS)
    assert set(found["exempt"]["items"]["properties"]) == {
        *(*RULE, "path", "tag", "group", "unique-id", "owner", "account", "everybody", "alarm")
    }


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"exempt": [RULE]}, id="rules"),
        pytest.param({"exempt": "none"}, id="none"),
        pytest.param({"exempt-from": "x.csv"}, id="list"),
        pytest.param(
            {"exempt-from": {"from": "x", "format": "csv", "min-rules": 1, "sha256": DIGEST}},
            id="list-options",
        ),
        pytest.param({"kinds": ["human"], "unused-for": 90.5, "min-age": 1}, id="selection"),
        pytest.param({"findings": ["iam-user"]}, id="findings"),
        pytest.param({"findings": {"any-of": ["iam-user"], "none-of": ["no-boundary"]}}, id="findings-both"),
        pytest.param({"hints": {"human": {"user": ["a*"], "tag": "A=b"}}}, id="hints"),
        pytest.param({"provisioning": {"tag": "A=b", "role": ["*"]}}, id="provisioning"),
        pytest.param({"thresholds": {"unused": 45}, "attachments": "full"}, id="thresholds"),
    ],
)
def test_what_is_sound_passes_the_schema(whole: dict[str, Any], options: dict[str, Any]) -> None:
    assert not errors(whole, {"filters": [{"type": "unnecessary", **options}]})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"kinds": ["robot"]}, r"'robot' is not one of \['human', 'machine'", id="kind"),
        pytest.param({"findings": ["mfa"]}, r"'mfa' is not one of \['iam-user'", id="finding"),
        pytest.param({"findings": {"any-of": ["mfa"]}}, r"'mfa' is not one of \['iam-user'", id="any-of"),
        pytest.param({"attachments": "all"}, r"'all' is not one of \['bulk', 'full'\]", id="attachments"),
        pytest.param({"unused-for": 0}, "0 is less than or equal to the minimum of 0", id="zero"),
        pytest.param({"exempt-from": {"from": "x", "format": "xml"}}, "'xml' is not one of", id="format"),
        pytest.param({"colour": "red"}, "'colour' was unexpected", id="key"),
    ],
)
def test_what_the_schema_tells_well_it_tells(
    whole: dict[str, Any], options: dict[str, Any], told: str
) -> None:
    assert re.search(told, errors(whole, {"filters": [{"type": "unnecessary", **options}]}))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(
            {"exempt": None}, "exempt: must be a list of rules, or none, not None", id="exempt-null"
        ),
        pytest.param({"exempt": "jane"}, "exempt: must be a list of rules, or none", id="exempt-word"),
        pytest.param(
            {"exempt": [{"user": "x"}]}, r"exempt\[0\]: reason is missing: say why", id="exempt-reason"
        ),
        pytest.param(
            {"exempt": [{**RULE, "name": "x"}]}, r"exempt\[0\]: there is no key 'name'", id="exempt-key"
        ),
        pytest.param({"exempt-from": None}, "exempt-from: must be a path or URL", id="list-null"),
        pytest.param({"exempt-from": {"form": "x"}}, "exempt-from: must be a path or URL", id="list-key"),
        pytest.param(
            {"exempt-from": {"from": "x.csv", "min-rules": "9"}}, "min-rules must be a number", id="min-rules"
        ),
        pytest.param({"exempt-from": {"from": "x.csv", "sha256": "9"}}, "sha256 must be 64", id="digest"),
        pytest.param({"kinds": "human"}, "kinds: must be a list with at least one of human", id="kinds"),
        pytest.param(
            {"findings": {"any": []}}, "findings: must be a mapping of any-of, none-of", id="findings"
        ),
        pytest.param({"hints": {"human": ["x"]}}, "hints.human: must map user, path", id="hints"),
        pytest.param(
            {"provisioning": ["x"]}, "provisioning: must be a mapping of tag, role", id="provisioning"
        ),
        *(pytest.param({key: None}, f"{key}: has no value", id=f"{key}-null") for key in OPTIONS[:-2]),
    ],
)
def test_the_rest_is_left_to_our_own_messages(
    whole: dict[str, Any], options: dict[str, Any], told: str
) -> None:
    data = {"filters": [{"type": "unnecessary", **options}]}
    assert not errors(whole, data)
    with pytest.raises(PolicyValidationError, match=told):
        policy(data)


@pytest.mark.parametrize("name", CLASSES)
def test_every_example_is_of_its_schema_and_validates(whole: dict[str, Any], name: str) -> None:
    for data in examples(name):
        assert not errors(whole, data)
        assert policy(data)


#: What a plugin's bare name lacks, which c7n's schema lets pass.
LACKING = {
    "alarm": "alarm lacks exempt-from: write '- type: alarm'",
    "identity-center": "identity-center lacks state: write '- type: identity-center'",
    "notify-owners": "notify-owners lacks notices, step, days, transport: write '- type: notify-owners'",
    "notify-people": "notify-people lacks notices, email-domains, transport: write '- type: notify-people'",
    "overdue": "overdue lacks notices: write '- type: overdue'",
    "provision-identity-center": "provision-identity-center lacks identity-source: write",
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_bare_name_works_or_says_what_it_lacks(whole: dict[str, Any], name: str) -> None:
    spared = {"type": "unnecessary", "exempt": [RULE]}
    data = {"filters": [name]} if name in FILTERS else {"filters": [spared], "actions": [name]}
    assert not errors(whole, data)
    if name not in LACKING:
        found = policy(data).resource_manager
        assert all(each.get_permissions() for each in (*found.filters, *found.actions))
        return
    with pytest.raises(PolicyValidationError, match=f"policy under-test: {LACKING[name]}"):
        policy(data)


#: An option that each plugin lacks, with what its message says.
MISSPELT = {
    "alarm": ("exemptfrom", "write exempt-from"),
    "overdue": ("activewithin", "write active-within"),
    "unnecessary": ("unusedfor", "write unused-for"),
    "identity-center": ("stat", "write state"),
    "attempts": ("sinc", "write since"),
    "composite-delete": ("noticd", "write noticed"),
    "quarantine": ("quiet", "its options are type"),
    "release": ("record_from", "write record-from"),
    "notify-owners": ("quarantined_for", "write quarantined-for"),
    "notify-people": ("sbject", "write subject"),
    "provision-identity-center": ("time-out", "write timeout"),
}


@pytest.mark.parametrize(("name", "key", "told"), [(name, *each) for name, each in MISSPELT.items()])
def test_no_plugin_has_an_option_that_it_does_not_know(
    whole: dict[str, Any], name: str, key: str, told: str
) -> None:
    """By c7n's schema, and by the plugin itself, since `c7n-org run` checks no schema."""
    (data, *_) = examples(name)
    kind = "filters" if name in FILTERS else "actions"
    (block,) = (each for each in data[kind] if isinstance(each, dict) and each.get("type") == name)
    assert not errors(whole, data)
    block[key] = 14
    assert f"'{key}' was unexpected" in errors(whole, data)
    with pytest.raises(PolicyValidationError, match=told):
        policy(data)


@pytest.mark.parametrize(
    ("name", "key", "value", "told"),
    [
        pytest.param("composite-delete", "plan-only", None, "plan-only is blank", id="blank-switch"),
        pytest.param("composite-delete", "plan", None, "plan is blank", id="blank-text"),
        pytest.param("composite-delete", "quiet", None, "quiet is blank", id="blank-choice"),
        pytest.param("composite-delete", "quiet", "yes", "'yes' is not one of", id="choice"),
        pytest.param("composite-delete", "plan-only", "yes", "'yes' is not of type 'boolean'", id="switch"),
        pytest.param("quarantine", "brownout", None, "brownout is blank", id="blank-brownout"),
        pytest.param("quarantine", "brownout", 0, "0 is less than the minimum", id="brownout-0"),
        pytest.param("quarantine", "brownout", -5, "-5 is less than the minimum", id="brownout-negative"),
        pytest.param("quarantine", "brownout", True, "brownout", id="brownout-true"),
        pytest.param("quarantine", "brownout", "15", "'15' is not of type 'integer'", id="brownout-text"),
        pytest.param("quarantine", "credentials", "kep", "'kep' is not one of", id="kept"),
        pytest.param("provision-identity-center", "mode", "intnt", "'intnt' is not one of", id="mode"),
        pytest.param("notify-owners", "step", "tell", "'tell' is not one of", id="step"),
        pytest.param("notify-owners", "step", None, "step is blank", id="blank-step"),
    ],
)
def test_values_are_checked_without_cloud_custodians_schema(
    name: str, key: str, value: Any, told: str
) -> None:
    """`c7n-org run` checks no schema."""
    (data, *_) = examples(name)
    (block,) = (each for each in data["actions"] if isinstance(each, dict) and each.get("type") == name)
    block[key] = value
    with pytest.raises(PolicyValidationError, match=told):
        policy(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max-resource", 5),
        ("max-resources", None),
        ("max-resources", "1"),
        ("max-resources", 0),
        ("max_resources", 5),
    ],
)
def test_a_brake_that_does_not_brake_is_refused(key: str, value: Any) -> None:
    (data, *_) = examples("composite-delete")
    data.pop("max-resources", None)
    with pytest.raises(PolicyValidationError, match="max-resources"):
        policy({**data, key: value})


@pytest.mark.parametrize("value", [5, {"percent": 10}, "{limit}"])
def test_a_brake_is_a_number_or_a_share(value: Any) -> None:
    (data, *_) = examples("composite-delete")
    policy({**data, "max-resources": value})


@pytest.mark.parametrize("name", CLASSES)
def test_schemas_are_closed(name: str) -> None:
    """As PolicyMetaLint.test_filter_action_additional of c7n's own tests asks."""
    assert CLASSES[name].schema.get("additionalProperties", True) is False


@pytest.mark.parametrize("name", ["notify-owners", "notify-people"])
def test_a_transport_has_no_other_keys(whole: dict[str, Any], name: str) -> None:
    (data, *_) = examples(name)
    data["actions"][-1]["transport"]["quue"] = "x"
    assert errors(whole, data)


#: Options that are c7n's and c7n-mailer's own, and keep their spelling.
STOCK = {
    *Notify.schema["properties"],
    "slack_template",
    "slack_msg_color",
    "action_desc",
    "violation_desc",
} | {
    "template_format",
    "priority_header",
    "resource_ldap_lookup_username",
    "email_ldap_username_manager",
}


@pytest.mark.parametrize("name", CLASSES)
def test_our_own_options_are_spelt_with_dashes(name: str) -> None:
    assert not [key for key in CLASSES[name].schema["properties"] if "_" in key and key not in STOCK]


def test_templates_read_options_that_there_are() -> None:
    folder = Path(c7n_iamusers.__file__).parent / "mailer_templates"
    text = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.j2"))
    read = set(re.findall(r"""\baction(?:\[|\.get\()['"]([\w-]+)['"]""", text))
    known = {key for name in ("notify-owners", "notify-people") for key in CLASSES[name].schema["properties"]}
    assert {"account-name", "active-within", "contact", "start-url"} <= read
    # which notify-owners adds to a message that it splits, notify-people from profiles-from, and a digest
    assert read - known == {"part", "parts", "users", "profiles", "owner"}


@pytest.mark.parametrize("key", sorted(STOCK - {"type", "to_from", "cc_from", "transport"}))
def test_what_notify_and_c7n_mailer_know_is_allowed(whole: dict[str, Any], key: str) -> None:
    (data, *_) = examples("notify-owners")
    known = {"to": ["x@y.z"], "cc": ["x@y.z"], "owner_absent_contact": ["x@y.z"], "priority_header": "2"}
    flags = ("cc_manager", "assume_role", "resource_ldap_lookup_username", "email_ldap_username_manager")
    data["actions"][-1][key] = known.get(key, True if key in flags else "html")
    assert not errors(whole, data)
