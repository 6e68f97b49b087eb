# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.report.selected_users import selected_users

pytestmark = pytest.mark.pure


def test_what_was_found_on_users_is_packed_like_that_on_the_first() -> None:
    kinds = ("human", "machine", "human")
    found = [*selected_users({"UserId": f"AIDA{kind}", "c7n:IamUser": {"kind": kind}} for kind in kinds)]
    assert [each.evidence.data() for each in found] == [{"kind": kind} for kind in kinds]
    assert {id(each.evidence.like) for each in found} == {id(found[0].evidence.like)}
    assert found[0].evidence.like
    assert found[0] is found[2]
