# SPDX-License-Identifier: Apache-2.0
"""Reading the credential report, which AWS makes on request and keeps for four hours."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from c7n_iamusers.aws.retries import Backoff, error_code
from c7n_iamusers.exceptions import EvidenceUnreadable
from c7n_iamusers.model.credential_report import CredentialReport, parse_report, report_text
from c7n_iamusers.model.moments import moment

#: GetCredentialReport: no report, or one that is too old; and one that is being made.
_MISSING = frozenset({"ReportNotPresent", "ReportExpired"})
_BEING_MADE = "ReportInProgress"


def read_report(client: Any, backoff: Backoff) -> CredentialReport:
    """The account's report: the one that is there (AWS makes none anew within four hours), else a new one.

    Raises ClientError, and EvidenceUnreadable where it isn't made within the budget of ``backoff`` or is no report.
    """
    response = _get(client, backoff)
    for delay in () if response else backoff.delays():
        backoff.sleep(delay)
        if response := _get(client, backoff):
            break
    if not response:
        raise EvidenceUnreadable(
            f"the credential report was not made within {backoff.budget:.0f} seconds: run again later"
        )
    return parse_report(report_text(response["Content"]), moment(response.get("GeneratedTime")))


def _get(client: Any, backoff: Backoff) -> dict[str, Any] | None:
    """The report; None where it is being made, which this asks for if nobody has."""
    try:
        return dict(backoff.call(client.get_credential_report))
    except ClientError as error:
        code = error_code(error)
        if code not in _MISSING and code != _BEING_MADE:
            raise
    if code in _MISSING:
        _request(client, backoff)
    return None


def _request(client: Any, backoff: Backoff) -> None:
    try:
        backoff.call(client.generate_credential_report)
    except ClientError as error:
        # Somebody else asks for it too: GetCredentialReport will tell when it is there.
        if error_code(error) != "LimitExceeded":
            raise
