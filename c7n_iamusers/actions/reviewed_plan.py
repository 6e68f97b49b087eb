# SPDX-License-Identifier: Apache-2.0
"""Reading a plan that was reviewed, from a file or a bucket."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import BotoCoreError, ClientError
from c7n.exceptions import PolicyExecutionError

from c7n_iamusers.aws.bucket_store import BucketStore
from c7n_iamusers.aws.stores import read_file
from c7n_iamusers.decisions.review import load_plan
from c7n_iamusers.decisions.wording import visible
from c7n_iamusers.exceptions import PlanInvalid
from c7n_iamusers.model.deletion_plan import DeletionPlan


def reviewed_plan(manager: Any, place: str, account_id: str, digest: str | None = None) -> DeletionPlan:
    """The plan at ``place``: a path (relative to the working directory), or ``s3://bucket/key``.

    ``digest``: the SHA-256, in hex, of what was reviewed, where the policy pins it. S3 is read by the session of
    whoever runs Cloud Custodian, which also writes c7n's output there.
    Raises PolicyExecutionError where it can't be read, is not of ``account_id``, or no run could have made it.
    """
    try:
        content = _content(manager, place)
        found = hashlib.sha256(content).hexdigest()
        if digest is not None and found != digest.lower():
            raise PlanInvalid(
                f"its SHA-256 is {found}, not that of plan-sha256: it was changed since the review"
            )
        plan = load_plan(content)
        if plan.account_id != account_id:
            raise PlanInvalid(
                f"it is of account {visible(plan.account_id)}: a plan may be named by {{account_id}}"
            )
    except (OSError, ClientError, BotoCoreError, PlanInvalid) as error:
        raise PolicyExecutionError(
            f"policy {manager.data.get('name')}: account {account_id}: the reviewed plan {place} can't be used: "
            f"{error}. Nothing was touched: make one by plan-only: true, review it by c7n-iamusers plan, name it here"
        ) from error
    return plan


def _content(manager: Any, place: str) -> bytes:
    if place.startswith("s3://"):
        url = urlparse(place)
        client = manager.session_factory(assume=False).client("s3")
        content = BucketStore(client, url.netloc, "", {}).read(url.path.lstrip("/"))
    else:
        # Whoever named it may have named a link, as volumes of Kubernetes are made of; it must lead to a file.
        content = read_file(Path(os.path.realpath(place)))
    if content is None:
        raise FileNotFoundError("No such file or object")
    return content
