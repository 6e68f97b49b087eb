# SPDX-License-Identifier: Apache-2.0
"""Tags of users.

"Tag keys are case insensitive ... if you have tagged a user with the Department=foo tag and you add the department=bar
tag, it replaces the first tag": https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html. Lengths and characters
are checked with the other parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from moto.core.responses import ActionResult, EmptyResult

from aws_local_org.iam.base import Backend, Response
from aws_local_org.iam.errors import iam_error, invalid_input

TAGS_PER_USER = 50


def merged(
    present: Mapping[str, dict[str, str]], tags: Iterable[Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Tags by their case-folded key, the new ones replacing those of the same key.

    Raises InvalidInput for a key given twice, LimitExceeded beyond 50.
    """
    added = [{"Key": tag["Key"], "Value": tag.get("Value") or ""} for tag in tags]
    if len({tag["Key"].casefold() for tag in added}) < len(added):
        raise invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    result = {**present, **{tag["Key"].casefold(): tag for tag in added}}
    if len(result) > TAGS_PER_USER:
        raise iam_error("LimitExceeded", "The number of tags has reached the maximum limit.")
    return result


class TaggingBackend(Backend):
    def tag_user(self, name: str, tags: list[dict[str, str]]) -> None:
        user = self.get_user(name)
        user.tag_set = merged(user.tag_set, tags)

    def untag_user(self, name: str, tag_keys: list[str]) -> None:
        user = self.get_user(name)
        for key in tag_keys:
            user.tag_set.pop(key.casefold(), None)

    def list_user_tags(self, user_name: str) -> list[dict[str, str]]:
        return self.get_user(user_name).tags


class TaggingResponse(Response):
    def tag_user(self) -> ActionResult:
        self.backend.tag_user(self.params["UserName"], self.params.get("Tags") or [])
        return EmptyResult()
