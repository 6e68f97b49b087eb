# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import unicodedata

import pytest

from c7n_iamusers.identity_center.model import CenterState, KnownPerson
from c7n_iamusers.identity_center.planning.plan import plan_access
from c7n_iamusers.identity_center.requests.lookalikes import form_fault, lookalikes, special
from c7n_iamusers.identity_center.requests.people import _script
from tests.access_center import INSTANCE
from tests.desired import desired, intents, person

pytestmark = pytest.mark.pure

CYRILLIC = "\u0455\u0441\u043e\u0440\u0435"


def test_texts_of_ascii_are_never_alike() -> None:
    assert lookalikes(["alice", "al1ce", "a1ice", "alice+aws", "bob"]) == {}


def test_each_form_of_a_text_is_alike() -> None:
    forms = {unicodedata.normalize(form, "jos\u00e9\ufb01") for form in ("NFC", "NFD", "NFKC", "NFKD")}
    found = lookalikes({*forms, "JOS\u00c9FI".lower(), "bob"})
    assert set(found) == forms
    assert all(len(others) == len(forms) - 1 for others in found.values())


@pytest.mark.parametrize("letter", ["\u0131", "\u0251", "\u0430", "\u03bf", "\u0406"])
def test_letters_of_other_scripts_look_like_ascii(letter: str) -> None:
    alike = {"\u0131": "i", "\u0251": "a", "\u0430": "a", "\u03bf": "o", "\u0406": "i"}[letter]
    assert lookalikes([f"x{letter}", f"x{alike}"])[f"x{alike}"] == {f"x{letter}"}


def test_the_normal_form_has_no_fault() -> None:
    for text in ("jos\u00e9", "\u7530\u4e2d", "gro\u00df", "plain"):
        assert form_fault(text) == ""
        assert form_fault(unicodedata.normalize("NFKC", text)) == ""


def test_characters_are_named() -> None:
    assert special("b\u043ess") == "U+043E CYRILLIC SMALL LETTER O"


def test_nobody_is_created_beside_a_user_who_looks_the_same() -> None:
    live = KnownPerson("u-1", CYRILLIC, "other@example.com")
    asked = desired(intents("111122223333", "scope"))
    state = CenterState(usernames={f"{CYRILLIC}@example.com": live})
    plan = plan_access(asked, state, INSTANCE)
    assert not plan.served
    (refused,) = plan.refused
    assert (
        f"looks like the existing Identity Center user {CYRILLIC}, and may be the same human"
        in refused.reason.text
    )
    assert plan_access(asked, CenterState(usernames={"other": live}), INSTANCE).refused == ()
    assert person("scope").username == "scope@example.com"


@pytest.mark.parametrize(
    ("character", "script"),
    [
        ("a", "Latin"),
        ("1", ""),
        ("é", "Latin"),
        ("я", "Cyrillic"),
        ("\u20ac", ""),
        ("\u0301", ""),
        ("\u2460", "Circled"),
    ],
)
def test_the_script_of_a_character(character: str, script: str) -> None:
    assert _script(character) == script
