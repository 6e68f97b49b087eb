# SPDX-License-Identifier: Apache-2.0
"""What c7n's action ``notify`` leaves out of IAM users before it sends them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Resource = dict[str, Any]
#: Whole policy documents: c7n-mailer's own templates print every member of a resource, into mails and channels.
LEFT_OUT = frozenset({"UserPolicyList"})


def without_documents(resources: Iterable[Resource]) -> list[Resource]:
    """Copies of ``resources`` without what is LEFT_OUT; later actions still find it on the resources themselves."""
    return [{key: value for key, value in each.items() if key not in LEFT_OUT} for each in resources]


def register_messages(notify: Any) -> None:
    """Give c7n's class ``Notify`` its ``prepare_iam_user``, which it calls for resources of that type.

    c7n has such methods for other types. One that it may have for users some day is still called. Calling this
    again changes nothing.
    """
    stock = getattr(notify, "prepare_iam_user", None)
    if getattr(stock, "c7n_iamusers", False):
        return

    def prepare_iam_user(self: Any, resources: list[Resource]) -> list[Resource]:
        left = without_documents(resources)
        return stock(self, left) if stock else left

    prepare_iam_user.c7n_iamusers = True  # type: ignore[attr-defined]
    notify.prepare_iam_user = prepare_iam_user
