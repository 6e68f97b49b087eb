# SPDX-License-Identifier: Apache-2.0
"""What this package notes on a resource: ``c7n:IamUser``, read by later filters, actions, mails and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.evidence import Source
from c7n_iamusers.model.inventory import USER

ANNOTATION = "c7n:IamUser"
_SOURCES = "sources"


def subject_of(resource: Mapping[str, Any]) -> Subject:
    """Whom a resource of c7n stands for."""
    return Subject(str(resource["UserName"]), str(resource["Arn"]), str(resource["UserId"]))


def annotate(resource: dict[str, Any], key: str, value: Any) -> None:
    """Put ``value`` under ``key`` of the resource's annotation, for later actions and reports."""
    resource.setdefault(ANNOTATION, {})[key] = value


def set_user_source(resource: dict[str, Any], source: Source) -> None:
    """Note where the resource itself comes from, and as of when."""
    resource[ANNOTATION] = {_SOURCES: {USER: source.as_data()}}


def user_source(resource: Mapping[str, Any]) -> Source | None:
    """Where the resource itself comes from; None where this package did not read it."""
    data = resource.get(ANNOTATION, {}).get(_SOURCES, {}).get(USER)
    return Source.from_data(data) if data else None


def annotate_anew(resource: dict[str, Any], data: Mapping[str, Any]) -> None:
    """Replace what stands on the resource, which may be of an earlier run by way of c7n's cache, by ``data``."""
    source = user_source(resource)
    kept = {_SOURCES: {USER: source.as_data()}} if source else {}
    resource[ANNOTATION] = {**kept, **data}
