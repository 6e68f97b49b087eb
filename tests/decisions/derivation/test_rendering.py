# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re

from c7n_iamusers.decisions.derivation.derive import derive
from c7n_iamusers.model.access_proof import EQUAL, NARROWER
from c7n_iamusers.model.derivation import DerivationOptions, PolicyReference
from tests.decisions.derivation.users import (
    FORCE_MFA,
    PLAIN,
    READ,
    RESEARCH,
    WRITE,
    allow,
    aws,
    deny,
    document,
    only_set,
    own,
    user,
    verdicts,
)


def test_a_reference_needs_the_policy_in_every_account_of_the_set() -> None:
    users = [user("ann", attached=(own("P", READ, WRITE),)), user("bob", RESEARCH, inline=[READ, WRITE])]
    without = only_set(derive(users, PLAIN))
    assert (without.customer_managed, without.inline is None) == ((), False)
    arn = f"arn:aws:iam::{RESEARCH}:policy/P"
    same = only_set(derive(users, PLAIN, {RESEARCH: {arn: json.dumps(document(WRITE, READ))}}))
    assert (same.customer_managed, same.inline) == ((PolicyReference("P"),), None)
    for other in (document(READ), None, "{"):
        assert only_set(derive(users, PLAIN, {RESEARCH: {arn: other}})).customer_managed == ()
    assert without.name == same.name


def test_a_path_is_part_of_a_policy_s_name() -> None:
    users = [user("ann", attached=(own("P", READ, path="/ci/"),)), user("bob", RESEARCH, inline=[READ])]
    elsewhere = {RESEARCH: {f"arn:aws:iam::{RESEARCH}:policy/P": document(READ)}}
    assert only_set(derive(users, PLAIN, elsewhere)).customer_managed == ()
    there = {RESEARCH: {f"arn:aws:iam::{RESEARCH}:policy/ci/P": document(READ)}}
    assert only_set(derive(users, PLAIN, there)).customer_managed == (PolicyReference("P", "/ci/"),)


def test_a_policy_that_cannot_be_carried_whole_is_not_referred_to() -> None:
    policy = own("ForceMFA", READ, FORCE_MFA)
    derivation = derive([user(attached=(policy,))], DerivationOptions(identity_center_mfa=True))
    derived = only_set(derivation)
    assert derived.customer_managed == ()
    assert derived.inline is not None
    assert [each["Action"] for each in derived.inline["Statement"]] == [["s3:Get*", "s3:List*"]]
    assert verdicts(derivation) == {"alice": NARROWER}


def test_raised_quotas_are_used() -> None:
    eleven = user(attached=tuple(aws(f"P{number:02}") for number in range(11)))
    assert len(only_set(derive([eleven], DerivationOptions(policies_per_role=20))).managed_policies) == 11
    assert derive([eleven], DerivationOptions(policies_per_role=20, policies_per_set=10)).refused


def test_references_that_do_not_fit_the_quota_stand_inline() -> None:
    policies = tuple(own(f"P{number}", allow(f"svc{number}:*")) for number in range(9))
    attached = (*policies, *(aws(f"A{number}") for number in range(4)))
    derived = only_set(derive([user(attached=attached)], PLAIN))
    assert (len(derived.managed_policies), len(derived.customer_managed)) == (4, 6)
    assert derived.inline is not None
    assert len(derived.inline["Statement"][0]["Action"]) == 3
    assert verdicts(derive([user(attached=attached)], PLAIN)) == {"alice": EQUAL}


def test_actions_are_spelled_as_people_do() -> None:
    users = [user(f"u{number}", inline=[allow("s3:GetObject")]) for number in range(2)]
    odd = user("odd", inline=[allow("S3:GETOBJECT")])
    derived = only_set(derive([odd, *users], PLAIN))
    assert derived.inline is not None
    assert derived.inline["Statement"][0]["Action"] == ["s3:GetObject"]


def test_labels_that_clash_are_told_apart_and_others_stay() -> None:
    inline = (
        ("A", document({**READ, "Sid": "Data"}, {**deny("s3:PutObjectAcl"), "Sid": "NoAcl"})),
        ("B", document({**WRITE, "Sid": "Data"})),
    )
    derived = only_set(derive([user(inline=inline)], PLAIN))
    assert derived.inline is not None
    sids = [each["Sid"] for each in derived.inline["Statement"]]
    assert len(set(sids)) == 3
    assert "NoAcl" in sids
    assert sorted(sid for sid in sids if re.fullmatch(r"Data(Allow)[0-9a-f]{8}", sid)) == sorted(
        {*sids} - {"NoAcl"}
    )
