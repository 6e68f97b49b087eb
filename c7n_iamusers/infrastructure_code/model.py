# SPDX-License-Identifier: Apache-2.0
"""What manages a user or one of its access keys as code, and what of that is unknown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from c7n_iamusers.text.wording import shown

#: What is managed: the values of ManagedBy.what.
USER, ACCESS_KEY = "user", "access-key"
_TITLES = {USER: "it", ACCESS_KEY: "its access key"}
CLOUDFORMATION, TERRAFORM, OPENTOFU, PULUMI = "CloudFormation", "Terraform", "OpenTofu", "Pulumi"
CDK, SERVICE_CATALOG, CONTROL_TOWER = "AWS CDK", "Service Catalog", "Control Tower"
#: The name of each source that was asked for, in ``sources`` of an annotation, begins with it.
SOURCE = "managed-by "
_SHOWN = 3


@dataclass(frozen=True)
class ManagedBy:
    """``by``: the tool. ``where``: the stack, or the address in a state; empty if that is not known.

    ``known``: how it is known, in words. ``what``: USER or ACCESS_KEY. ``claim``: anybody may have written it.
    """

    by: str
    where: str
    known: str
    what: str = USER
    claim: bool = False

    @property
    def text(self) -> str:
        """What it means for whoever deletes it elsewhere.

        Terraform and Pulumi create what is missing ("Manage resource drift", Terraform tutorials). A stack's update
        does not look at what it does not change, and fails where it changes what is gone ("Detect unmanaged
        configuration changes", CloudFormation User Guide).
        """
        place = f" in {self.where}" if self.where else ""
        again = "if so, it comes back" if self.claim else "it comes back"
        fails = "" if self.by in (TERRAFORM, OPENTOFU, PULUMI) else ", or that fails"
        return (
            f"{self.by} manages {_TITLES[self.what]}{place} ({self.known}): {again} at the next deploy{fails}: "
            f"delete it {'there' if self.where else 'in that code'}"
        )

    def as_data(self) -> dict[str, Any]:
        """As annotations show it: JSON types."""
        data = {"by": self.by, "where": self.where, "known": self.known, "what": self.what}
        return {**data, **({"claim": True} if self.claim else {}), "text": self.text}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ManagedBy:
        """The reverse of ``as_data``."""
        by, where, known = (str(data.get(key) or "") for key in ("by", "where", "known"))
        what = ACCESS_KEY if data.get("what") == ACCESS_KEY else USER
        return cls(by, where, known, what, bool(data.get("claim")))


@dataclass(frozen=True)
class Managed:
    """``found``: what manages it. ``unread``: each source that was asked for and could not be read, with the reason."""

    found: tuple[ManagedBy, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def is_known(self) -> bool | None:
        """True if something manages it, False if nothing does as far as was asked; None if that is unknown."""
        return True if self.found else None if self.unread else False

    @property
    def texts(self) -> tuple[str, ...]:
        """What each means, in words."""
        return tuple(each.text for each in self.found)

    @property
    def text(self) -> str:
        """The first of them, and how many more there are."""
        return shown(self.texts, _SHOWN, "; ")

    def and_also(self, *others: Managed) -> Managed:
        """All that this and ``others`` say, each once."""
        every = (self, *others)
        found = dict.fromkeys(each for managed in every for each in managed.found)
        return Managed((*found,), (*dict.fromkeys(each for managed in every for each in managed.unread),))

    @classmethod
    def of_annotation(cls, known: Mapping[str, Any]) -> Managed:
        """What an annotation ``c7n:IamUser`` says: ``managed``, and the ``sources`` that were not read."""
        sources: Mapping[str, Mapping[str, Any]] = known.get("sources") or {}
        unread = (
            f"{each.get('source')}: {each['problem']}"
            for name, each in sources.items()
            if name.startswith(SOURCE) and each.get("problem")
        )
        return cls(tuple(map(ManagedBy.from_data, known.get("managed") or ())), tuple(unread))


def as_data(found: Iterable[ManagedBy]) -> list[dict[str, Any]]:
    """``managed`` of an annotation."""
    return [each.as_data() for each in found]
