# SPDX-License-Identifier: Apache-2.0
"""Random pairs of policies that have something to do with each other, and requests likely to tell them apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any

Statement = dict[str, Any]

_ACTIONS = (
    "s3:Get s3:Get* s3:GetObject s3:*Object s3:Put? s3:* * *:* ec2:Run* logs:* s3:Put s3:*t* S3:GET".split()
)
_LOGS = "arn:aws:logs:eu:1:log-group"
_RESOURCES = [
    *"* arn:aws:s3:::a arn:aws:s3:::a* arn:aws:s3:::a/* arn:aws:s3:::a*b arn:aws:s3:::?/b".split(),
    *"arn:aws:s3:::* arn:aws:s3*".split(),
    *"arn:aws:s3:::a/${s3:prefix}/* arn:aws:s3:::a/${aws:username}/* arn:aws:s3:::${aws:PrincipalTag/Team}".split(),
    "arn:aws:s3:::a/${s3:prefix, 'z'}",
    "arn:aws:s3:::a/${*}",
    *(f"{_LOGS}:{end}" for end in ("a*b", "a*", "a:*", "*:b", "a:b", "a?b", "*a*")),
    "arn:aws:sqs",
    "arn:aws:*:*:1:*",
]
_STRINGS = ["a", "ab", "b", "a*", "*b", "?", "${aws:username}", "${s3:delimiter}", "A"]
_CONDITIONS: Mapping[str, tuple[list[str], list[str]]] = {
    "s3:prefix": (["String"], _STRINGS),
    "aws:RequestedRegion": (["String"], ["a", "b", "ab"]),
    "aws:TagKeys": (["ForAllValues:String", "ForAnyValue:String"], ["a", "b", "a*", "ab"]),
    "s3:max-keys": (["Numeric"], ["1", "2", "3"]),
    "aws:CurrentTime": (["Date"], ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
    "aws:SourceIp": (["Ip"], ["10.0.0.0/8", "10.1.0.0/16", "192.168.0.1"]),
    "aws:SecureTransport": (["Bool"], ["true", "false"]),
    "aws:username": (["String"], ["alice", "bob", "al*", "${s3:prefix}"]),
    "aws:PrincipalTag/Team": (["String"], ["core", "web", "c*"]),
    "aws:PrincipalArn": (
        ["Arn"],
        ["arn:aws:iam::111122223333:user/alice", "arn:aws:iam::*:user/*", "*", "arn:aws:iam::*"],
    ),
    "aws:MultiFactorAuthPresent": (["Bool"], ["true", "false"]),
    "aws:PrincipalType": (["String"], ["User", "AssumedRole"]),
    "aws:HairColour": (["String"], ["red"]),
    "nobodys": (["String"], ["a", "b"]),
}
#: Keys, in lower case, of which no documentation speaks.
STRANGE = frozenset({"aws:haircolour", "nobodys"})
_FORMS = {
    "String": "Equals NotEquals EqualsIgnoreCase NotEqualsIgnoreCase Like NotLike".split(),
    "Numeric": "Equals NotEquals LessThan LessThanEquals GreaterThan GreaterThanEquals".split(),
    "Date": "LessThan GreaterThan Equals".split(),
    "Ip": ["Address"],
    "Bool": [""],
    "Arn": "Like NotLike Equals NotEquals".split(),
}


@dataclass(frozen=True)
class Pair:
    """Two policies and their boundaries; ``by_session``: the new one is of a session, the old one of alice."""

    new: list[Statement]
    old: list[Statement]
    new_boundary: list[Statement] | None
    old_boundary: list[Statement] | None
    version: str
    by_session: bool

    @property
    def statements(self) -> list[Statement]:
        return [*self.new, *self.old, *(self.new_boundary or ()), *(self.old_boundary or ())]

    @property
    def is_plain(self) -> bool:
        """Whether only actions and resources matter, by whatever reading."""
        texts = str([_texts(each, "Resource") for each in self.statements])
        amid = re.search(r"\*[^:*'\"]|\?", texts)
        return not any("Condition" in each for each in self.statements) and "$" not in texts and not amid


def pairs(seed: int, count: int) -> Iterator[tuple[Pair, Random]]:
    """``count`` pairs, and for each a source of chance of its own."""
    random = Random(seed)
    for _ in range(count):
        if random.random() < 0.5:
            old, new, by_session = random.choice(_THEMES)(random)
            yield Pair(new, old, None, None, "2012-10-17", by_session), Random(random.random())
            continue
        old = [_statement(random) for _ in range(random.randint(1, 4))]
        new = _changed(old, random) if random.random() < 0.85 else [_statement(random) for _ in old]
        limits = [_statement(random), _statement(random)] if random.random() < 0.25 else None
        new_limits = _changed(limits, random) if limits and random.random() < 0.8 else None
        version = "2008-10-17" if random.random() < 0.08 else "2012-10-17"
        yield Pair(new, old, new_limits, limits, version, random.random() < 0.5), Random(random.random())


def _statement(random: Random) -> Statement:
    action = "NotAction" if random.random() < 0.15 else "Action"
    resource = "NotResource" if random.random() < 0.12 else "Resource"
    found: Statement = {
        "Effect": "Deny" if random.random() < 0.35 else "Allow",
        action: _some(_ACTIONS, random),
        resource: _some(_RESOURCES, random),
    }
    if random.random() < 0.45:
        found["Condition"] = _condition(random)
    return found


def _some(texts: list[str], random: Random) -> list[str]:
    return random.sample(texts, random.choice([1, 1, 2, 3]))


def _condition(random: Random) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key in random.sample(list(_CONDITIONS), random.choice([1, 1, 1, 2])):
        kinds, values = _CONDITIONS[key]
        if random.random() < 0.1:
            found.setdefault("Null", {})[key] = random.choice(["true", "false"])
            continue
        chosen = random.sample(values, min(len(values), random.choice([1, 1, 2])))
        found.setdefault(_operator(random.choice(kinds), random), {})[key] = chosen
    return found


def _operator(kind: str, random: Random) -> str:
    qualifier, _, base = kind.rpartition(":")
    name = f"{base}{random.choice(_FORMS[base])}"
    if base == "Ip" and random.random() < 0.5:
        name = f"Not{name}"
    if random.random() < 0.15:
        name += "IfExists"
    if random.random() < 0.03:
        name = "StringMatches"
    name = f"{qualifier}:{name}" if qualifier else name
    return (
        random.choice([name.lower(), name.swapcase(), name[0].lower() + name[1:]])
        if random.random() < 0.2
        else name
    )


def _changed(statements: list[Statement], random: Random) -> list[Statement]:
    found = deepcopy(statements)
    for _ in range(random.choice([0, 1, 1, 2, 3])):
        if not found:
            break
        at = random.randrange(len(found))
        found[at : at + 1] = random.choice(_CHANGES)(found[at], random)
    random.shuffle(found)
    return found


def _drop(statement: Statement, random: Random) -> list[Statement]:
    return []


def _split(statement: Statement, random: Random) -> list[Statement]:
    name = random.choice([each for each in ("Action", "Resource") if each in statement] or [""])
    if not name:
        return [statement]
    return [{**deepcopy(statement), name: [text]} for text in statement[name]]


def _more(statement: Statement, random: Random) -> list[Statement]:
    name, texts = random.choice([("Action", _ACTIONS), ("Resource", _RESOURCES)])
    name = name if name in statement else f"Not{name}"
    return [{**statement, name: sorted({*statement[name], random.choice(texts)})}]


def _less(statement: Statement, random: Random) -> list[Statement]:
    name = random.choice([each for each in statement if each not in ("Effect", "Condition")])
    return [{**statement, name: statement[name][:-1] or statement[name]}]


def _conditioned(statement: Statement, random: Random) -> list[Statement]:
    return [{**statement, "Condition": _condition(random)}]


def _freed(statement: Statement, random: Random) -> list[Statement]:
    return [{name: value for name, value in statement.items() if name != "Condition"}]


def _values(statement: Statement, random: Random) -> list[Statement]:
    found = deepcopy(statement)
    for keys in found.get("Condition", {}).values():
        for key, values in keys.items():
            if isinstance(values, list):
                keys[key] = values[:-1] or [*values, random.choice(_CONDITIONS[key][1])]
    return [found]


def _recased(statement: Statement, random: Random) -> list[Statement]:
    conditions = statement.get("Condition", {})
    return [
        {
            **statement,
            **(
                {"Condition": {name.swapcase(): keys for name, keys in conditions.items()}}
                if conditions
                else {}
            ),
        }
    ]


def _also_denied(statement: Statement, random: Random) -> list[Statement]:
    return [statement, {**_statement(random), "Effect": "Deny"}]


_CHANGES = [_drop, _split, _split, _more, _less, _less, _conditioned, _freed, _values, _recased, _also_denied]


def _on_a_condition(random: Random) -> _Theme:
    """One condition, and little of it changed."""
    statement = _only({"Condition": _condition(random)}, random)
    change = random.choice([_values, _values, _values, _recased, _freed, _drop, _conditioned])
    rest = [_EVERYTHING] if statement["Effect"] == "Deny" else [_REST]
    return [statement, *rest], [*change(statement, random), *rest], random.random() < 0.3


def _on_colons(random: Random) -> _Theme:
    """Resources that two readings of wildcards tell apart."""
    logs = [text for text in _RESOURCES if text.startswith(_LOGS)]
    first, second = random.sample(logs, 2)
    statement = _only({"Resource": [first]}, random)
    others = _split(statement, random) if random.random() < 0.1 else [{**statement, "Resource": [second]}]
    return [statement, _REST], [*others, _REST], False


def _on_variables(random: Random) -> _Theme:
    """A variable that may have no value, in a statement of its own or with others."""
    texts = [text for text in _RESOURCES if "${" in text and "${aws:" not in text]
    resources = [random.choice(texts), random.choice(["arn:aws:s3:::a", "arn:aws:s3:::a/*", *texts])]
    statement = _only({"Resource": resources}, random)
    split = [{**statement, "Resource": [text]} for text in resources]
    found = [[statement, _REST], [*split, _REST]]
    random.shuffle(found)
    return found[0], found[1], False


def _on_callers(random: Random) -> _Theme:
    """Conditions on who asks, lost on the way from alice to her session."""
    key = random.choice(
        [key for key in _CONDITIONS if key.startswith(("aws:Principal", "aws:user", "aws:Multi"))]
    )
    kinds, values = _CONDITIONS[key]
    condition = {_operator(random.choice(kinds), random): {key: [random.choice(values)]}}
    statement = _only({"Condition": condition}, random)
    rest = [_EVERYTHING] if statement["Effect"] == "Deny" else [_REST]
    return [statement, *rest], [*random.choice([_drop, _freed])(statement, random), *rest], True


def _only(changes: Statement, random: Random) -> Statement:
    return {**_EVERYTHING, "Effect": random.choice(["Allow", "Deny"]), **changes}


_Theme = tuple[list[Statement], list[Statement], bool]
_EVERYTHING: Statement = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}
#: What an Allow can be told beside, and a Deny be told in.
_REST: Statement = {"Effect": "Allow", "Action": ["s3:Get"], "Resource": ["*"]}
_THEMES = [_on_a_condition, _on_a_condition, _on_colons, _on_variables, _on_callers]


def requests(pair: Pair, random: Random, count: int) -> Iterator[tuple[str, str, dict[str, tuple[str, ...]]]]:
    """Action, resource and the part of the context that does not depend on who asks."""
    actions = [text for each in pair.statements for text in _texts(each, "Action")]
    resources = [text for each in pair.statements for text in _texts(each, "Resource")]
    for _ in range(count):
        context = {**_context(random), **_nearby(pair, random)}
        action = _instance(random.choice(actions), context, random)
        if ":" not in action or action.startswith(":") or action.endswith(":"):
            action = "s3:GetObject"
        yield action, _instance(random.choice(resources), context, random) or "x", context


def _nearby(pair: Pair, random: Random) -> dict[str, tuple[str, ...]]:
    """Values that the policies speak of, for about half of the keys."""
    found: dict[str, tuple[str, ...]] = {}
    for statement in pair.statements:
        for keys in statement.get("Condition", {}).values():
            for key, values in keys.items():
                known = key.lower() in _REQUEST_VALUES and isinstance(values, list)
                if known and key != "aws:SourceIp" and random.random() < 0.5:
                    found[key.lower()] = (_instance(random.choice(values), {}, random),)
    return found


def _texts(statement: Statement, name: str) -> list[str]:
    found: list[str] = statement[name if name in statement else f"Not{name}"]
    return found


def _context(random: Random) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key, values in _REQUEST_VALUES.items():
        if random.random() < 0.75:
            chosen = (
                random.sample(values, random.choice([1, 2]))
                if key == "aws:tagkeys"
                else [random.choice(values)]
            )
            found[key] = tuple(chosen)
    return found


_REQUEST_VALUES = {
    "s3:prefix": ["a", "ab", "b", "bb", "alice", "A"],
    "s3:delimiter": ["a", "b"],
    "aws:requestedregion": ["a", "b", "ab"],
    "aws:tagkeys": ["a", "b", "ab", "c"],
    "s3:max-keys": ["0", "1", "2", "2.5", "3"],
    "aws:currenttime": [
        "2026-06-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2027-06-01T00:00:00Z",
        "2029-01-01T00:00:00Z",
    ],
    "aws:sourceip": ["10.0.0.1", "10.1.0.1", "192.168.0.1", "8.8.8.8"],
    "aws:securetransport": ["true", "false"],
}


def _instance(pattern: str, context: dict[str, tuple[str, ...]], random: Random) -> str:
    """A text that the pattern matches, or nearly does."""
    values = {"aws:username": "alice", "aws:principaltag/team": "core"}

    def variable(found: re.Match[str]) -> str:
        key = found.group(1).partition(",")[0].lower()
        if key in "*?$":
            return str(found.group(1))
        return (*context.get(key, ()), values.get(key, "z"))[0]

    text = re.sub(r"\$\{([^}]*)\}", variable, pattern)
    text = re.sub(r"\*", lambda _: random.choice(["", "a", "b", "a:b", ":b", "/b", "x", "Object"]), text)
    text = text.replace("?", random.choice(["a", ":", "x"]))
    if text.startswith("arn:") and text.count(":") < 5:
        text += ":1" * (5 - text.count(":"))
    return text


ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/R"
_SSO = "arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"
#: Roles and a session of the permission set x.
SET_ROLES = tuple(
    f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/{region}AWSReservedSSO_x_{suffix}"
    for region, suffix in (
        ("", "0123456789abcdef"),
        ("eu-west-1/", "0123456789abcdef"),
        ("", "fedcba9876543210"),
    )
)
SET_SESSIONS = tuple(
    f"arn:aws:sts::{ACCOUNT}:assumed-role/{arn.rpartition('/')[2]}/alice@example.com" for arn in SET_ROLES
)
_PRINCIPALS: list[Any] = [
    *[{"AWS": f"arn:aws:iam::{ACCOUNT}:root"}] * 4,
    {"AWS": ACCOUNT},
    "*",
    {"AWS": "*"},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"},
    {"AWS": [f"arn:aws:iam::{ACCOUNT}:user/bob", f"arn:aws:iam::{ACCOUNT}:user/alice"]},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"},
    {"AWS": SET_ROLES[0]},
    {"AWS": SET_SESSIONS[0]},
    {"AWS": SET_ROLES[0].replace("_x_", "_y_")},
    {"AWS": "arn:aws:iam::444455556666:root"},
    {"Service": "ec2.amazonaws.com"},
    {"Federated": "arn:aws:iam::111122223333:saml-provider/X"},
]
_CALLER_CONDITIONS: Mapping[str, tuple[list[str], list[str]]] = {
    "aws:PrincipalArn": (
        ["Arn", "String", "Arn"],
        [
            _SSO,
            "arn:aws:iam::*:user/*",
            f"{_SSO}AWSReservedSSO_x_*",
            f"{_SSO}AWSReservedSSO_y_*",
            "*",
            SET_ROLES[0],
            f"arn:aws:iam::{ACCOUNT}:user/alice",
            "arn:aws:iam::*:role/Admin*",
            "arn:aws:iam::*:role/*/eu-west-1/*",
        ],
    ),
    "aws:userid": (["String"], ["AROA*:alice@example.com", "AROA*", "AIDAALICE", "*:alice*", "AROA*:bob"]),
    "aws:username": (["String"], ["alice", "bob", "al*"]),
    "aws:PrincipalType": (["String"], ["User", "AssumedRole"]),
    "aws:PrincipalTag/Team": (["String"], ["core", "web"]),
    "aws:MultiFactorAuthPresent": (["Bool"], ["true", "false"]),
    "aws:PrincipalAccount": (["String"], [ACCOUNT, "444455556666"]),
    "sts:ExternalId": (["String"], ["a", "b"]),
    "sts:RoleSessionName": (["String"], ["${aws:username}", "alice", "a*"]),
    "aws:SecureTransport": (["Bool"], ["true", "false"]),
}


@dataclass(frozen=True)
class Layer:
    """A policy of others beside a pair: a trust policy of ``ROLE``, or a service control policy."""

    statements: list[Statement]
    is_control: bool

    @property
    def has_not_principal(self) -> bool:
        return any("NotPrincipal" in each for each in self.statements)


def layer_of(pair: Pair, random: Random) -> tuple[Pair, Layer]:
    """A layer, and the pair with a few statements that the layer matters for."""
    if random.random() < 0.4:
        found = [_control(random) for _ in range(random.choice([1, 1, 2, 3]))]
        everything: Statement = {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}
        return pair, Layer([*([everything] if random.random() < 0.9 else []), *found], True)
    assuming = [_assuming(random) for _ in range(random.choice([0, 1, 1, 1, 2]))]
    kept = assuming if random.random() < 0.9 else [each for each in assuming if random.random() < 0.5]
    changed = replace(pair, new=[*pair.new, *kept], old=[*pair.old, *assuming])
    return changed, Layer([_trust(random) for _ in range(random.choice([1, 1, 2, 3]))], False)


def _assuming(random: Random) -> Statement:
    found: Statement = {
        "Effect": "Deny" if random.random() < 0.15 else "Allow",
        "Action": [random.choice(["sts:AssumeRole", "sts:*", "*"])],
        "Resource": [random.choice(["*", ROLE, "arn:aws:iam::*:role/*", f"{ROLE}*", f"{ROLE}2"])],
    }
    if random.random() < 0.2:
        found["Condition"] = {"StringEquals": {"sts:ExternalId": ["a"]}}
    return found


def _trust(random: Random) -> Statement:
    principal = random.choice(["Principal"] * 12 + ["NotPrincipal"])
    found: Statement = {
        "Effect": "Deny" if random.random() < 0.25 else "Allow",
        principal: random.choice(
            _PRINCIPALS if principal == "Principal" else [p for p in _PRINCIPALS if p != "*"]
        ),
        "Action": [random.choice(["sts:AssumeRole"] * 4 + ["sts:*", "sts:TagSession"])],
    }
    if random.random() < 0.65:
        found["Condition"] = _caller_condition(random)
    return found


def _control(random: Random) -> Statement:
    action = "NotAction" if random.random() < 0.2 else "Action"
    found: Statement = {
        "Effect": "Deny" if random.random() < 0.9 else "Allow",
        action: _some(_ACTIONS, random),
        "Resource": _some(_RESOURCES, random) if random.random() < 0.3 else ["*"],
    }
    if random.random() < 0.85:
        found["Condition"] = _caller_condition(random)
    return found


def _caller_condition(random: Random) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key in random.sample(list(_CALLER_CONDITIONS), random.choice([1, 1, 2])):
        kinds, values = _CALLER_CONDITIONS[key]
        if random.random() < 0.08:
            found.setdefault("Null", {})[key] = random.choice(["true", "false"])
            continue
        chosen = random.sample(values, min(len(values), random.choice([1, 1, 2])))
        found.setdefault(_operator(random.choice(kinds), random), {})[key] = chosen
    return found


def layer_requests(
    pair: Pair, layer: Layer, random: Random, count: int
) -> Iterator[tuple[str, str, dict[str, tuple[str, ...]]]]:
    """Requests that the layer decides on: to assume the role, or what the pair speaks of."""
    for action, resource, context in requests(pair, random, count):
        for key, values in (("sts:externalid", ["a", "b"]), ("sts:rolesessionname", ["alice", "a", "b"])):
            if random.random() < 0.7:
                context[key] = (random.choice(values),)
        if layer.is_control:
            yield action, resource, context
        else:
            yield random.choice(["sts:AssumeRole", "sts:AssumeRole", "sts:TagSession"]), ROLE, context
