# SPDX-License-Identifier: Apache-2.0
"""Whether an Identity Center user may stand for a person, and the call that creates one. Pure.

Adopting somebody else's identity would give away the IAM user's access.
"""

from __future__ import annotations

from typing import Any

from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.calls import ApiCall, Deferred
from c7n_iamusers.model.identity_center import Instance, KnownPerson, Person, folded

#: The Ref under which a new user's id is kept.
USER = "user"
_SAVED = {USER: ("UserId",)}


def same_person(
    person: Person, by_username: KnownPerson | None, by_email: KnownPerson | None
) -> KnownPerson | None:
    """The existing user that both username and e-mail lead to, None where neither leads anywhere.

    ``by_email`` counts only where nobody has the username. Raises IdentityCenterError where only one of the
    two leads to somebody, or that user is disabled.
    """
    if by_username and folded(by_username.email) != folded(person.email):
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} exists with another e-mail than {person.email}, so it may "
            "be somebody else's: make e-mail and username agree there or in what the policy reads"
        )
    if by_email and by_username is None:
        raise IdentityCenterError(
            f"e-mail {person.email} belongs to Identity Center user {by_email.username}, not to {person.username}, so "
            "it may be somebody else's: make e-mail and username agree there or in what the policy reads"
        )
    if by_username and not by_username.enabled:
        raise IdentityCenterError(
            f"Identity Center user {by_username.username} is disabled: enable it, or leave the IAM user out"
        )
    return by_username


def user_call(person: Person, instance: Instance) -> ApiCall:
    """The creation of the user."""
    parameters = Deferred(_user_parameters, person, instance.identity_store_id)
    return ApiCall("identitystore", "CreateUser", parameters, save=_SAVED)


def _user_parameters(person: Person, store_id: str) -> dict[str, Any]:
    return {
        "IdentityStoreId": store_id,
        "UserName": person.username,
        "Name": {"GivenName": person.given_name, "FamilyName": person.family_name},
        "DisplayName": person.display_name,
        "Emails": [{"Value": person.email, "Type": "work", "Primary": True}],
    }
