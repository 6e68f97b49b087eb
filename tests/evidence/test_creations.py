# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from typing import Any

import pytest

from c7n_iamusers.evidence.reader import read_creators
from c7n_iamusers.iam.accounts import home_region
from tests.fakes import ScriptedClient, Sleeps

pytestmark = pytest.mark.pure

ROLE = "arn:aws:iam::111122223333:role/iac"
SESSION = {
    "arn": "arn:aws:sts::111122223333:assumed-role/iac/x",
    "sessionContext": {"sessionIssuer": {"arn": ROLE}},
}


def event(user_id: str, identity: dict[str, Any], **rest: Any) -> dict[str, str]:
    created = {"responseElements": {"user": {"userId": user_id}}} if user_id else {"responseElements": None}
    return {"CloudTrailEvent": json.dumps({"userIdentity": identity, **created, **rest})}


def test_creators_are_found_on_every_page() -> None:
    pages = [
        {
            "Events": [event("AIDA1", SESSION), event("", SESSION, errorCode="AccessDenied")],
            "NextToken": "next",
        },
        {
            "Events": [
                event("AIDA2", {"arn": "arn:aws:iam::111122223333:user/eve"}),
                event("AIDA3", {"type": "Root"}),
            ]
        },
    ]
    client = ScriptedClient(lookup_events=pages)
    assert read_creators(client, Sleeps().backoff()) == {
        "AIDA1": ROLE,
        "AIDA2": "arn:aws:iam::111122223333:user/eve",
    }
    first, second = (parameters for _, parameters in client.calls)
    assert first["LookupAttributes"] == [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}]
    assert second["NextToken"] == "next"


@pytest.mark.parametrize(
    ("region", "home"),
    [("eu-west-1", "us-east-1"), ("us-gov-east-1", "us-gov-west-1"), ("cn-northwest-1", "cn-north-1")],
)
def test_the_home_region_of_each_partition(region: str, home: str) -> None:
    assert home_region(region) == home
