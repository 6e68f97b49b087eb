# SPDX-License-Identifier: Apache-2.0
"""Identity stores themselves: one to an instance."""

from __future__ import annotations

from typing import Any

from . import paging
from .access import Caller, may_administer
from .state import IdentityStore


def list_stores(caller: Caller, parameters: dict[str, Any]) -> dict[str, Any]:
    found = [each.store for each in may_administer(caller) if each.region == caller.region]
    return paging.page("IdentityStores", [_identified(each) for each in found], parameters)


def describe(store: IdentityStore, _: dict[str, Any]) -> dict[str, Any]:
    return _identified(store)


def _identified(store: IdentityStore) -> dict[str, Any]:
    return {"IdentityStoreId": store.id, "IdentityStoreArn": store.arn}
