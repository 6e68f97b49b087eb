# SPDX-License-Identifier: Apache-2.0
"""A run's store in S3. Each write is a put that S3 acknowledges before the run goes on."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import IO, Any
from urllib.parse import parse_qsl, urlparse

from botocore.exceptions import BotoCoreError, ClientError

from c7n_iamusers.execution.given import body_within
from c7n_iamusers.execution.paging import pages
from c7n_iamusers.execution.retries import (
    AnswerUnreadable,
    Backoff,
    answered,
    error_code,
    require_whole_answers,
)
from c7n_iamusers.execution.stores import refuse_larger
from c7n_iamusers.text.documents import LARGEST

#: The error of a conditional PutObject ("Conditional writes", Amazon S3 User Guide): the object exists, or has changed.
#: While another conditional write of it is in progress (ConditionalRequestConflict), it is tried again.
_TAKEN = frozenset({"PreconditionFailed"})


def bucket_output(url: str, session: Any, attach: Callable[[Any], object] | None = None) -> BucketStore:
    """The store of an output URL of Cloud Custodian: ``s3://BUCKET/PREFIX?region=NAME&sse=KIND&kms-key=KEY``.

    ``session``: a boto3 session. ``attach``: called with the client that is made. Objects get the encryption and the
    ACL of c7n's own output (``S3Output``).
    """
    parsed = urlparse(url)
    given = dict(parse_qsl(parsed.query))
    client = session.client("s3", region_name=given.get("region"))
    if attach:
        attach(client)
    return BucketStore(client, parsed.netloc, parsed.path, put_arguments(given))


def put_arguments(options: Mapping[str, Any]) -> dict[str, str]:
    """ACL and encryption of each object, as c7n's own output sets them (``S3Output.get_sse_args``, c7n 0.9.52).

    ``options``: those in the query of an output URL, ``sse`` and ``kms-key``.
    """
    key = options.get("kms-key")
    kind = options.get("sse") or ("aws:kms" if key else "AES256")
    named = {"SSEKMSKeyId": str(key)} if kind == "aws:kms" and key else {}
    return {"ACL": "bucket-owner-full-control", "ServerSideEncryption": str(kind), **named}


class BucketStore:
    """Objects of ``bucket`` under ``prefix``; see Store. ``arguments``: for each PutObject (encryption, ACL).

    S3 is strongly consistent for reads after writes. Reading a missing name needs s3:ListBucket: without it S3 returns
    AccessDenied instead of NoSuchKey.
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
        require_whole_answers(client)

    def read(self, name: str, largest: int = LARGEST) -> bytes | None:
        """See Store."""
        return self._tagged(name, largest)[0]

    def create(self, name: str, content: bytes) -> None:
        """See Store. If the response of a put was lost, an object with this content counts as ours."""
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

    def stream(self, name: str, pieces: Iterable[bytes]) -> None:
        """See Store. PutObject takes up to 5 GB."""
        with tempfile.TemporaryFile() as file:
            file.writelines(pieces)
            try:
                self._put(name, file)
            except ClientError as error:
                raise self._failure(name, error) from error

    def remove(self, name: str, content: bytes | None = None) -> None:
        """See Store. "Conditional deletes" (Amazon S3 User Guide): IfMatch of DeleteObject."""
        condition = {}
        if content is not None:
            found, condition["IfMatch"] = self._tagged(name)
            if found != content:
                return
        try:
            self._backoff.call(
                self._client.delete_object, Bucket=self._bucket, Key=self._key(name), **condition
            )
        except ClientError as error:
            if content is None or error_code(error) not in {*_TAKEN, "NoSuchKey"}:
                raise self._failure(name, error) from error
        except BotoCoreError as error:
            raise self._failure(name, error) from error

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """See Store. "Conditional writes" (Amazon S3 User Guide): IfMatch and IfNoneMatch of PutObject."""
        changed: bytes | None = None
        for delay in (*self._backoff.delays(), None):
            content, tag = self._tagged(name)
            if changed is not None and content == changed:
                return  # our own put was applied, and its response was lost
            changed = change(content)
            try:
                return self._put(name, changed, **({"IfMatch": tag} if tag else {"IfNoneMatch": "*"}))
            except ClientError as error:
                if delay is None or error_code(error) not in _TAKEN:
                    raise self._failure(name, error) from error
                self._backoff.sleep(delay)

    def names(self, prefix: str, *last: str, since: datetime | None = None) -> list[str]:
        """See Store."""
        begins = len(self._key(""))
        listed = self._listed("Contents", Prefix=self._key(prefix))
        found = (str(each["Key"])[begins:] for each in listed if not since or each["LastModified"] >= since)
        return [name for name in found if not last or name.rpartition("/")[2] in last]

    def entries(self, place: str, leap: tuple[str, str] | None = None) -> dict[str, str]:
        """See Store. Takes one call for each thousand entries; with ``leap``, at most one for those within it."""
        top, found, after = self._key(place), dict[str, str](), dict[str, str]()
        asked = {"Bucket": self._bucket, "Prefix": top, "Delimiter": "/"}
        try:
            while True:
                page = self._backoff.call(self._client.list_objects_v2, **asked, **after)
                listed = {str(each["Key"]): str(each["ETag"]) for each in page.get("Contents", ())}
                listed |= {str(each["Prefix"])[:-1]: "" for each in page.get("CommonPrefixes", ())}
                found |= {key[len(top) :]: version for key, version in listed.items() if key != top}
                if not page.get("IsTruncated"):
                    return found
                if after and after == {"ContinuationToken": str(page.get("NextContinuationToken"))}:
                    raise AnswerUnreadable(operation="ListObjectsV2", why="its next page is the same page")
                if leap and leap[0] <= max(listed, default="")[len(top) :] < leap[1]:
                    after = {"StartAfter": f"{top}{leap[1]}"}
                else:
                    after = {"ContinuationToken": str(page["NextContinuationToken"])}
        except (ClientError, BotoCoreError) as error:
            raise OSError(f"s3://{self._bucket}/{top}: {error}") from error

    def siblings(self) -> Sequence[BucketStore]:
        """See Store."""
        parent = self._prefix.rpartition("/")[0]
        if not parent:
            return []
        found = self._listed("CommonPrefixes", Prefix=f"{parent}/", Delimiter="/")
        prefixes = (str(each["Prefix"]).strip("/") for each in found)
        return [
            BucketStore(self._client, self._bucket, each, self._arguments, self._backoff)
            for each in prefixes
            if each != self._prefix
        ]

    def below(self, name: str) -> BucketStore:
        """The store of the objects below ``name``, a part of a key that is never parsed as a URL."""
        return BucketStore(self._client, self._bucket, self._key(name), self._arguments, self._backoff)

    def place(self, name: str) -> str:
        """See Store."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def _tagged(self, name: str, largest: int = LARGEST) -> tuple[bytes | None, str]:
        """The content and its ETag; None and an empty text if the name does not exist. ``largest``: see Store.read."""

        def get() -> dict[str, Any]:
            found = answered(self._client.get_object, Bucket=self._bucket, Key=self._key(name))
            refuse_larger(self.place(name), int(found.get("ContentLength", 0)), largest)
            return {**found, "Body": body_within(self.place(name), found["Body"], largest)}

        try:
            found = self._backoff.call(get)
            return found["Body"], str(found.get("ETag", ""))
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None, ""
            raise self._failure(name, error) from error
        except BotoCoreError as error:
            raise self._failure(name, error) from error

    def _listed(self, member: str, **asked: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        try:
            for page in pages(self._client, "ListObjectsV2", self._backoff, Bucket=self._bucket, **asked):
                found += page.get(member, ())
        except (ClientError, BotoCoreError) as error:
            raise OSError(f"s3://{self._bucket}/{asked['Prefix']}: {error}") from error
        return found

    def _put(self, name: str, content: bytes | IO[bytes], **condition: str) -> None:
        given = {**self._arguments, **condition, "ChecksumAlgorithm": "SHA256"}
        digest = base64.b64encode(_sha256(content)).decode()

        def put() -> None:
            if not isinstance(content, bytes):
                content.seek(0)  # the try before has read it
            call = self._client.put_object
            answer = answered(call, Bucket=self._bucket, Key=self._key(name), Body=content, **given)
            # S3 returns the checksum of what it stored; an answer to another request has none, or another one.
            if answer.get("ChecksumSHA256") != digest:
                raise AnswerUnreadable(
                    operation="PutObject", why="its checksum is not that of the sent object"
                )

        try:
            self._backoff.call(put)
        except BotoCoreError as error:
            raise self._failure(name, error) from error

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _failure(self, name: str, error: Exception) -> OSError:
        return OSError(f"{self.place(name)}: {error}")


def _sha256(content: bytes | IO[bytes]) -> bytes:
    if isinstance(content, bytes):
        return hashlib.sha256(content).digest()
    found = hashlib.sha256()
    content.seek(0)
    while piece := content.read(1 << 20):
        found.update(piece)
    return found.digest()
