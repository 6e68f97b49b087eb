# SPDX-License-Identifier: Apache-2.0
"""A run's store in S3: each write is a put that S3 has acknowledged before the run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.aws.retries import Backoff, error_code

#: PutObject, "Conditional writes": the object is there, or another conditional write of it is under way.
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class BucketStore:
    """Objects of ``bucket`` under ``prefix``. ``arguments``: of each PutObject (encryption, ACL). See Store.

    S3 gives strong read-after-write consistency, so what ``create`` has put, any later read finds.
    Reading a name that may be missing needs s3:ListBucket: without it S3 answers AccessDenied, not NoSuchKey.
    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        arguments: Mapping[str, str],
        backoff: Backoff | None = None,
    ) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix.strip("/")
        self._arguments, self._backoff = dict(arguments), backoff or Backoff()

    def read(self, name: str) -> bytes | None:
        """See Store."""
        try:
            found = self._backoff.call(self._client.get_object, Bucket=self._bucket, Key=self._key(name))
            content: bytes = found["Body"].read()
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise self._failure(name, error) from error
        except BotoCoreError as error:
            raise self._failure(name, error) from error
        return content

    def create(self, name: str, content: bytes) -> None:
        """See Store. A put whose answer was lost counts as ours where the object holds this content."""
        try:
            self._put(name, content, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) not in _TAKEN:
                raise self._failure(name, error) from error
            if self.read(name) != content:
                raise FileExistsError(f"{self.place(name)} is there already") from error

    def replace(self, name: str, content: bytes) -> None:
        """See Store."""
        try:
            self._put(name, content)
        except ClientError as error:
            raise self._failure(name, error) from error

    def place(self, name: str) -> str:
        """See Store."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def _put(self, name: str, content: bytes, **condition: str) -> None:
        given = {**self._arguments, **condition}
        try:
            self._backoff.call(
                self._client.put_object, Bucket=self._bucket, Key=self._key(name), Body=content, **given
            )
        except BotoCoreError as error:
            raise self._failure(name, error) from error

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _failure(self, name: str, error: Exception) -> OSError:
        return OSError(f"{self.place(name)}: {error}")
