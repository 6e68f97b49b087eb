# SPDX-License-Identifier: Apache-2.0
"""Policies of resources, as they are read."""

from __future__ import annotations

from typing import Any

from c7n_iamusers.resource_policies.reading import AccessEntry, Reading, ResourcePolicy, Unread

BUCKET, REGION = "arn:aws:s3:::invoices", "eu-west-1"
CLUSTER = f"arn:aws:eks:{REGION}:111122223333:cluster/shop"


def policy(*statements: dict[str, Any], service: str = "s3", resource: str = BUCKET) -> ResourcePolicy:
    """A policy with ``statements``."""
    return ResourcePolicy(service, resource, REGION, {"Version": "2012-10-17", "Statement": [*statements]})


def allow(principal: Any = "*", **rest: Any) -> dict[str, Any]:
    """A statement that allows s3:GetObject."""
    return {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "*", **rest}


def deny(**rest: Any) -> dict[str, Any]:
    """A statement that denies everything, to those in ``rest``."""
    return {"Effect": "Deny", "Action": "*", "Resource": "*", **rest}


def reading(
    *policies: ResourcePolicy, entries: tuple[AccessEntry, ...] = (), unread: tuple[Unread, ...] = ()
) -> Reading:
    """What was read of s3 and eks."""
    return Reading(("eks", "s3"), (REGION,), policies, entries, unread)
