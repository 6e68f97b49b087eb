# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.derivation.derive import derive
from c7n_iamusers.derivation.model import DerivationOptions, PolicyReference
from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER
from tests.derivation.users import (
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

pytestmark = pytest.mark.pure


def test_a_path_is_part_of_a_policy_s_name() -> None:
    derived = only_set(derive([user("ann", attached=(own("P", READ, path="/ci/"),))], PLAIN))
    assert (derived.customer_managed, derived.inline) == ((PolicyReference("P", "/ci/"),), None)


def test_one_name_and_one_text_in_two_accounts_is_one_set() -> None:
    users = [
        user("ann", attached=(own("P", READ),)),
        user("bob", RESEARCH, attached=(own("P", READ, account=RESEARCH),)),
    ]
    assert only_set(derive(users, PLAIN)).customer_managed == (PolicyReference("P"),)


def test_a_policy_that_cannot_be_carried_whole_is_not_referred_to() -> None:
    policy = own("ForceMFA", READ, FORCE_MFA)
    derivation = derive([user(attached=(policy,))], DerivationOptions(identity_center_mfa=True))
    derived = only_set(derivation)
    assert derived.customer_managed == ()
    assert derived.inline is not None
    assert [each["Action"] for each in derived.inline["Statement"]] == [["s3:get*", "s3:list*"]]
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


def test_nothing_of_how_it_was_written_is_left() -> None:
    inline = (
        ("A", document({**READ, "Sid": "Data"}, {**deny("s3:PutObjectAcl"), "Sid": "NoAcl"})),
        ("B", document({**WRITE, "Sid": "Data"})),
    )
    derived = only_set(derive([user(inline=inline)], PLAIN))
    assert derived.inline is not None
    assert [each["Action"] for each in derived.inline["Statement"]] == [
        ["s3:get*", "s3:list*"],
        ["s3:put*"],
        ["s3:putobjectacl"],
    ]
    assert all("Sid" not in each for each in derived.inline["Statement"])
