# SPDX-License-Identifier: Apache-2.0
"""Asks which code manages users and keys, as ``managed-by`` of the filters says: stacks, and Terraform states."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from c7n.utils import local_session

from c7n_iamusers.evidence.model import Source
from c7n_iamusers.evidence.selection import AskedCode
from c7n_iamusers.execution.bucket_store import bucket_output
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.given import read_place
from c7n_iamusers.execution.journal import utc_now
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.execution.stores import DirectoryStore, Store
from c7n_iamusers.infrastructure_code.model import ACCESS_KEY, SOURCE, USER, Managed
from c7n_iamusers.infrastructure_code.stacks import Stacks
from c7n_iamusers.infrastructure_code.state_places import read_states
from c7n_iamusers.infrastructure_code.terraform_state import StateIndex
from c7n_iamusers.text.wording import shown

#: What manages a user or key, and the sources that were asked.
Answer = tuple[Managed, dict[str, Source]]


class CodeOwners:
    """One run's answers. ``asked``: what the policy asks. States are read at once, stacks for each user and key.

    ``with_keys``: whether a state that manages a user's access key counts for the user, as keys go with users.

    States in S3 are read with the credentials that Cloud Custodian runs with, as they are rarely in the member account.
    """

    def __init__(self, manager: Any, asked: AskedCode, backoff: Backoff, with_keys: bool = True) -> None:
        self._asked, self._manager, self._with_keys = asked, manager, with_keys
        session = local_session(manager.session_factory)
        self._stacks = Stacks(
            {each: session.client("cloudformation", region_name=each) for each in asked.regions}, backoff
        )
        self._began = utc_now()
        self._states = (
            read_states(asked.states, self._content, partial(store_at, manager))
            if asked.states
            else StateIndex()
        )

    def of_user(self, user: Subject) -> Answer:
        """What manages ``user``, by what is asked."""
        return self._answer(self._stacks.of(USER, user.name), self._states.of_user(user, self._with_keys))

    def of_key(self, key_id: str) -> Answer:
        """What manages the access key ``key_id``."""
        return self._answer(self._stacks.of(ACCESS_KEY, key_id), self._states.of_key(key_id))

    def _answer(self, by_region: Mapping[str, Managed], in_states: Managed) -> Answer:
        now = utc_now()
        sources = {
            f"{SOURCE}cloudformation {region}": _source(f"DescribeStackResources in {region}", now, each)
            for region, each in by_region.items()
        }
        if self._asked.states:
            sources[f"{SOURCE}terraform-states"] = _source("Terraform states", self._began, in_states)
        return in_states.and_also(*by_region.values()), sources

    def _content(self, place: str) -> bytes:
        return read_place(
            place,
            {},
            lambda region: self._manager.session_factory(assume=False).client("s3", region_name=region),
        )


def _source(name: str, time: datetime, managed: Managed) -> Source:
    if managed.unread:
        return Source(name, None, shown(managed.unread, comma="; "))
    return Source(name, time)


def store_at(manager: Any, place: str) -> Store:
    """What is below a directory or s3://BUCKET/PREFIX/, read with the credentials that Cloud Custodian runs with."""
    if place.startswith("s3://"):
        return bucket_output(place, manager.session_factory(assume=False))
    return DirectoryStore(Path(place).expanduser())
