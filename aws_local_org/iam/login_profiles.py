# SPDX-License-Identifier: Apache-2.0
"""Console passwords; the password itself is not kept, since nobody can sign in here."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from aws_local_org.iam.base import Response
from aws_local_org.iam.entities import LoginProfile, User
from aws_local_org.iam.errors import already_exists, no_such_entity, validation_error
from aws_local_org.iam.plain_result import PlainResult


class LoginProfilesResponse(Response):
    """Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateLoginProfile.html and its siblings."""

    def create_login_profile(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        if user.login_profile is not None:
            raise already_exists(f"Login Profile for user {user.name} already exists.")
        if not self.params.get("Password"):
            raise validation_error("Must specify a password for an IAM user.")
        user.login_profile = LoginProfile(bool(self.params.get("PasswordResetRequired")), utcnow(), utcnow())
        return PlainResult({"LoginProfile": _shape(user, user.login_profile)})

    def get_login_profile(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        return PlainResult({"LoginProfile": _shape(user, _profile(user))})

    def update_login_profile(self) -> ActionResult:
        profile = _profile(self.backend.get_user(self.params["UserName"]))
        if self.params.get("Password"):
            profile.changed = utcnow()
        if self.params.get("PasswordResetRequired") is not None:
            profile.password_reset_required = bool(self.params["PasswordResetRequired"])
        return EmptyResult()

    def delete_login_profile(self) -> ActionResult:
        user = self.backend.get_user(self.params["UserName"])
        _profile(user)
        user.login_profile = None
        return EmptyResult()


def _profile(user: User) -> LoginProfile:
    if user.login_profile is None:
        raise no_such_entity(f"Login Profile for User {user.name} cannot be found.")
    return user.login_profile


def _shape(user: User, profile: LoginProfile) -> dict[str, Any]:
    return {
        "UserName": user.name,
        "CreateDate": profile.create_date,
        "PasswordResetRequired": profile.password_reset_required,
    }
