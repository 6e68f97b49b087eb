# SPDX-License-Identifier: Apache-2.0
"""The credential report: made asynchronously, kept for four hours, blind to what happens meanwhile.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html ("once every four hours"),
and the API reference of GenerateCredentialReport and GetCredentialReport.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from aws_local_org import settings
from aws_local_org.iam.base import Backend, Response
from aws_local_org.iam.errors import iam_error
from aws_local_org.iam.plain_result import PlainResult
from aws_local_org.iam.report_rows import report_csv

_STARTED = "No report exists. Starting a new report generation task"


@dataclass(frozen=True)
class Report:
    """requested: of time.monotonic(). The content is of the moment of the request."""

    content: str
    generated: datetime
    requested: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.requested

    @property
    def is_ready(self) -> bool:
        return self.age >= settings.current().report_seconds


class CredentialReportBackend(Backend):
    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.report: Report | None = None
        #: When the account was made, which is when its root user was; long before whatever is seeded.
        self.created = datetime(2014, 1, 1)


class CredentialReportResponse(Response):
    def generate_credential_report(self) -> ActionResult:
        report = self._account.report
        if report is not None and not report.is_ready:
            return PlainResult({"State": "INPROGRESS"})
        if report is not None and report.age <= settings.current().report_ttl_seconds:
            return PlainResult({"State": "COMPLETE"})
        self._account.report = Report(report_csv(self._account), utcnow(), time.monotonic())
        return PlainResult({"State": "STARTED", "Description": _STARTED})

    def get_credential_report(self) -> ActionResult:
        report = self._account.report
        if report is None:
            raise iam_error(
                "ReportNotPresent", "No report exists. Generate one with GenerateCredentialReport."
            )
        if not report.is_ready:
            raise iam_error("ReportInProgress", "The credential report is still being generated.")
        if report.age > settings.current().report_expiry_seconds:
            raise iam_error("ReportExpired", "The most recent credential report has expired.")
        return PlainResult(
            {"Content": report.content, "ReportFormat": "text/csv", "GeneratedTime": report.generated}
        )

    @property
    def _account(self) -> Any:
        return self.backend
