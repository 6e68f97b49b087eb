# SPDX-License-Identifier: Apache-2.0
"""What a request says of its maker, by the way in: as an IAM user, or through IAM Identity Center. Pure.

Sources: "AWS global condition context keys" and the table "Principal key values" of "Policy variables" in the
IAM User Guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from c7n_iamusers.model.principal_permissions import PrincipalPermissions

MFA_PRESENT, MFA_AGE = "aws:multifactorauthpresent", "aws:multifactorauthage"
USERNAME = "aws:username"
_TAG = "aws:principaltag/"

#: Keys, and beginnings of keys, whose value for one and the same person depends on the way in.
_KEYS = frozenset(
    {
        MFA_PRESENT,
        MFA_AGE,
        USERNAME,
        "aws:userid",
        "aws:principalarn",
        "aws:principaltype",
        "aws:tokenissuetime",
        "aws:sourceidentity",
        "aws:federatedprovider",
        "aws:assumedroot",
        "identitystore:userid",
    }
)
_PREFIXES = (_TAG, "saml:")

#: The other global keys, which say the same of a request whoever of the account makes it, and however.
_GLOBAL = frozenset(
    f"aws:{name}"
    for name in (
        "calledvia calledviafirst calledvialast chatbotsourcearn currenttime ec2instancesourceprivateipv4 "
        "ec2instancesourcevpc epochtime ismcpserviceaction principalaccount principalisawsservice principalorgid "
        "principalorgmasteraccountid principalorgpaths principalservicename principalservicenameslist referer "
        "requestedregion resourceaccount resourceorgid resourceorgpaths securetransport sourceaccount sourcearn "
        "sourceip sourceorgid sourceorgpaths sourceowner sourcevpc sourcevpcarn sourcevpce tagkeys useragent "
        "viaawsservice vpceaccount vpceorgid vpceorgpaths vpcsourceip"
    ).split()
)
_GLOBAL_PREFIXES = ("aws:requesttag/", "aws:resourcetag/")

#: The values that a key can have in a request; None among them: it may be missing.
Values = frozenset[str | None]
_MISSING: Values = frozenset({None})


def depends_on_way_in(key: str) -> bool:
    """Whether the value of a key (in lower case) changes for a person who comes in another way, or may."""
    return key in _KEYS or key.startswith(_PREFIXES) or not has_known_meaning(key)


def has_known_meaning(key: str) -> bool:
    """Whether it is told what a key (in lower case) says: a service's own, or one of the documented global ones.

    A service's key is one of the request. One without any prefix is nobody's, and IAM refuses it.
    """
    service, colon, name = key.partition(":")
    if not (service and colon and name):
        return False
    return service != "aws" or key in _KEYS | _GLOBAL or key.startswith((*_PREFIXES, *_GLOBAL_PREFIXES))


@dataclass(frozen=True)
class WayIn:
    """``facts``: key in lower case -> values. ``all_tags``: no principal tags but those in ``facts``."""

    facts: Mapping[str, Values] = field(default_factory=dict)
    all_tags: bool = False

    def values(self, key: str) -> Values | None:
        """The possible values of a key in lower case; None where nothing is known of it."""
        if self.all_tags and key.startswith(_TAG):
            return self.facts.get(key, _MISSING)
        return self.facts.get(key)


def as_user(principal: PrincipalPermissions, with_mfa: bool = False) -> WayIn:
    """An IAM user's own requests; ``with_mfa``: only those made after signing in with MFA."""
    tags = principal.tags or {}
    facts: dict[str, Values] = {
        USERNAME: frozenset({principal.user_name}),
        "aws:userid": frozenset({principal.unique_id}),
        "aws:principalarn": frozenset({principal.arn}),
        "aws:principaltype": frozenset({"User"}),
        **{_TAG + key.lower(): frozenset({value}) for key, value in tags.items()},
    }
    if with_mfa:
        facts[MFA_PRESENT] = frozenset({"true"})
    return WayIn(facts, principal.tags is not None)


def as_session(tags: Mapping[str, str] | None = None) -> WayIn:
    """Requests through a permission set's role; ``tags``: session tags that are certain, there may be others.

    Whether such sessions carry the MFA keys is written nowhere, so nothing is taken for granted of them.
    """
    facts: dict[str, Values] = {
        USERNAME: _MISSING,
        "aws:principaltype": frozenset({"AssumedRole"}),
        **{_TAG + key.lower(): frozenset({value}) for key, value in (tags or {}).items()},
    }
    return WayIn(facts)
