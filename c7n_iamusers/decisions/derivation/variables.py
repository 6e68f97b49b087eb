# SPDX-License-Identifier: Apache-2.0
"""Policy variables whose value changes with the way in, and what can take their place in a permission set. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from c7n_iamusers.decisions.policy_comparison.patterns import escaped, substituted, variables
from c7n_iamusers.decisions.policy_comparison.ways_in import USERNAME, WayIn, depends_on_way_in
from c7n_iamusers.model.derivation import DerivationOptions
from c7n_iamusers.model.principal_permissions import PrincipalPermissions


@dataclass(frozen=True)
class Translation:
    """``way_in``: how the user came in. ``write_out``: known values may be written out.

    ``username_tag``: the session tag that will have the very value of the user's name, empty for none.
    """

    way_in: WayIn
    write_out: bool = False
    username_tag: str = ""

    def of(self, key: str) -> str | None:
        """What stands for the variable of ``key`` (in lower case); None where nothing does."""
        if key == USERNAME and self.username_tag:
            return f"${{aws:PrincipalTag/{self.username_tag}}}"
        values = self.way_in.values(key) if self.write_out else None
        value = next(iter(values)) if values and len(values) == 1 else None
        return None if value is None else escaped(value)

    def widest(self, texts: Iterable[str]) -> frozenset[str]:
        """``texts`` with a star for each variable that depends on the way in."""
        return frozenset(
            substituted(text, lambda key, _: "*" if depends_on_way_in(key) else None) for text in texts
        )


def translation_for(
    principal: PrincipalPermissions, options: DerivationOptions, way_in: WayIn
) -> Translation:
    """The session tag is the user's name only for a person whose Identity Center username is the same."""
    same = bool(principal.person) and principal.person == principal.user_name
    return Translation(way_in, options.write_out, options.username_tag if same else "")


def translated(texts: Iterable[str], translation: Translation) -> tuple[frozenset[str], frozenset[str]]:
    """The texts without variables that depend on the way in, and those, as they were, that have to be lost."""
    kept, lost = set(), set()
    for text in texts:
        keys = [key for key in variables(text) if depends_on_way_in(key)]
        if any(translation.of(key) is None for key in keys):
            lost.add(text)
        else:
            kept.add(_replaced(text, translation))
    return frozenset(kept), frozenset(lost)


def _replaced(text: str, translation: Translation) -> str:
    return substituted(text, lambda key, _: translation.of(key) if depends_on_way_in(key) else None)
