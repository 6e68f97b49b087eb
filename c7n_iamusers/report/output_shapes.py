# SPDX-License-Identifier: Apache-2.0
"""The shapes of the files that a run leaves, as far as a report reads them."""

from __future__ import annotations

import re

from c7n_iamusers.evidence.assessment import ANNOTATION
from c7n_iamusers.report.selected_keys import KEY, KEY_ID
from c7n_iamusers.text.validators import (
    listing,
    mapping,
    maybe,
    one_of,
    record,
    text,
    whole,
)

#: The ARN of an IAM user, with its account.
USER_ARN = re.compile(r"arn:[a-z-]+:iam::(\d{12}):user/.+", re.ASCII)
#: The id of an access key.
KEY_PATTERN = r"AKIA[A-Z0-9]{4,124}"
_TEXT, _SHORT, _MANY = text(1_000_000), text(1_000), 1_000_000
#: Codes of an outcome, and earlier outcomes of a user, of which a row keeps about 30 (``outcomes.MOST_FORMER``).
_FEW = 100
_TEXTS = listing(_TEXT, _MANY)
_FINDING = record({"id": _TEXT, "severity": _TEXT, "text": _TEXT}, others=True)
_ACTIVITY = record(
    {}, {"time": maybe(_TEXT), "by": _TEXT, "service": _TEXT, "region": _TEXT, "unknown": _TEXTS}, others=True
)
_CREDENTIAL = record(
    {},
    {"kind": _TEXT, "title": _TEXT, "active": one_of(True, False, None), "created": maybe(_TEXT)},
    others=True,
)
_SOURCE = record({}, {"source": _TEXT, "time": maybe(_TEXT), "problem": _TEXT}, others=True)
_NAMED_BY = record({"service": _TEXT, "resource": _TEXT, "region": _TEXT, "where": _TEXT}, others=True)
_USAGE = record({"id": _TEXT, "result": _TEXT, "text": _TEXT}, others=True)
_PRIORITY = record({"number": whole(1), "of": whole(1), "text": _TEXT}, others=True)
#: What is read of the annotation.
_ASSESSMENT = record(
    {},
    {
        "kind": maybe(_TEXT),
        "selected_as": _TEXT,
        "reasons": _TEXTS,
        "replacement": _TEXTS,
        "findings": listing(_FINDING, _MANY),
        "unknown_findings": _TEXTS,
        "last_activity": _ACTIVITY,
        "credentials": listing(_CREDENTIAL, _MANY),
        "attachments": mapping(_TEXT, whole(0)),
        "unread": _TEXTS,
        "trusted_by": maybe(_TEXTS),
        "named_by": maybe(listing(_NAMED_BY, _MANY)),
        "usage": maybe(listing(_USAGE, _FEW)),
        "priority": _PRIORITY,
        "sources": mapping(_TEXT, _SOURCE),
        "identity-center": mapping(_TEXT, maybe(_TEXT)),
        KEY: record({}, {}, others=True),
    },
    others=True,
)
_ARN = text(2048, USER_ARN.pattern)
#: Also those of access keys, which have their user's ARN and unique id, and their own id.
USERS_SHAPE = listing(
    record(
        {"Arn": _ARN}, {"UserId": _TEXT, KEY_ID: text(128, KEY_PATTERN), ANNOTATION: _ASSESSMENT}, others=True
    ),
    _MANY,
)
_OUTCOME = {"status": _TEXT}
_MEMBERS = {
    **dict.fromkeys(
        (
            "user",
            "unique_id",
            "reason",
            "code",
            "for_owners",
            "call",
            "error",
            "time",
            "policy",
            "verdict",
            "scope",
            "rests_on",
        ),
        maybe(_TEXT),
    ),
    "also": listing(_TEXT, _FEW),
}
ROWS_SHAPE = listing(
    record(
        {"arn": _ARN, **_OUTCOME},
        {**_MEMBERS, "unique_id": _TEXT, "history": listing(record(_OUTCOME, _MEMBERS, others=True), _FEW)},
        others=True,
    ),
    _MANY,
)
RESULT_SHAPE = record({"users": ROWS_SHAPE}, others=True)
METADATA_SHAPE = record(
    {
        "policy": record({}, {"name": _TEXT, "resource": _TEXT}, others=True),
        # it becomes the name of a directory
        "config": record({}, {"account_id": maybe(text(12, r"(?:[0-9]{12})?"))}, others=True),
        "execution": record({}, {"id": maybe(_SHORT)}, others=True),
    },
    {"metrics": listing(record({}, {"MetricName": _TEXT}, others=True), _MANY)},
    others=True,
)
