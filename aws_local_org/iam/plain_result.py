# SPDX-License-Identifier: Apache-2.0
"""Results that are plain data already, written as XML in one pass over botocore's shapes.

moto's serializer tries half a dozen names for every member of every object: for a page of a thousand users that is most
of a second. Here the members of a result bear the names of the API reference.
"""

from __future__ import annotations

import base64
import uuid
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from moto.core.responses import TYPE_RESPONSE, ActionContext, ActionResult
from moto.core.serialize import QuerySerializer


class PlainResult(ActionResult):
    """A result of dicts, lists, texts, numbers, flags, bytes and naive UTC dates; what is None is left out."""

    def execute_result(self, context: ActionContext) -> TYPE_RESPONSE:
        operation = context.operation_model
        pieces: list[str] = []
        _write(pieces, operation.output_shape, self.result, f"{operation.name}Result")
        namespace = context.service_model.metadata["xmlNamespace"]
        request_id = str(uuid.uuid4())
        body = (
            f'<{operation.name}Response xmlns="{namespace}">{"".join(pieces)}'
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
        )
        return 200, {"Content-Type": "text/xml"}, body


def _write(pieces: list[str], shape: Any, value: Any, tag: str) -> None:
    kind = shape.type_name
    if kind == "structure":
        pieces.append(f"<{tag}>")
        for name, member in shape.members.items():
            if (inner := value.get(name)) is not None:
                _write(pieces, member, inner, name)
        pieces.append(f"</{tag}>")
    elif kind == "list":
        pieces.append(f"<{tag}>")
        for item in value:
            _write(pieces, shape.member, item, "member")
        pieces.append(f"</{tag}>")
    else:
        pieces.append(f"<{tag}>{_scalar(kind, value)}</{tag}>")


def _scalar(kind: str, value: Any) -> str:
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return whole_seconds(value)
    if kind == "blob":
        return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
    return escape(str(value))


class WholeSecondsSerializer(QuerySerializer):
    """moto's serializer, for the results that are still moto's own."""

    def _serialize_type_timestamp(self, serialized: Any, value: Any, shape: Any, key: str) -> None:
        text = whole_seconds(value) if isinstance(value, datetime) else str(value)
        self._default_serialize(serialized, text, shape, key)


def whole_seconds(moment: datetime) -> str:
    """As IAM writes its dates, without fractions."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
