# SPDX-License-Identifier: Apache-2.0
"""Fleets whose output is in S3."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aws_local_org import LocalOrg
from c7n_iamusers.execution.bucket_store import BucketStore, bucket_output
from c7n_iamusers.identity_center.requests.intent_files import write_intents
from c7n_iamusers.identity_center.requests.intents import Intents
from c7n_iamusers.plugins.run_outputs import stable_prefix
from tests.identity_center.fleet_rehearsal import FleetRehearsal

BUCKET, PREFIX = "outputs", "intents"
URL = f"s3://{BUCKET}/{PREFIX}"


def output_in_bucket(org: LocalOrg) -> BucketStore:
    """An empty one, in the account of whoever runs Cloud Custodian."""
    org.client("s3").create_bucket(Bucket=BUCKET)
    return bucket_output(f"{URL}?region=us-east-1", org.session())


@dataclass
class BucketRehearsal(FleetRehearsal):
    """``output`` is not used. ``names``: c7n-org's name of each account."""

    names: dict[str, str] = field(default_factory=dict)

    @cached_property
    def _bucket(self) -> BucketStore:
        return output_in_bucket(self.org)

    @property
    def store(self) -> BucketStore:
        """The prefix that c7n-org was given."""
        return self._bucket

    def leave(self, *found: Intents) -> None:
        """Intents where the policies of a c7n-org run leave them."""
        for each in found:
            path = f"{PREFIX}/{self.names.get(each.account_id, each.account_id)}/us-east-1"
            prefix = stable_prefix(path, each.account_id, "us-east-1", each.policy)
            write_intents(BucketStore(self.s3, BUCKET, prefix, self.store._arguments), each)

    def objects(self, last: str = "") -> list[str]:
        """The names of all objects below the prefix."""
        return self.store.names("", *filter(None, [last]))

    @property
    def s3(self) -> Any:
        return self.org.client("s3")
