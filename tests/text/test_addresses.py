# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.text.addresses import foreign_domain, is_address

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    "text",
    ["a@example.com", "a.b+c@sub.example.co.uk", "o'neil@x.org", "a@xn--bcher-kva.example", "a_b@1.example"],
)
def test_an_address(text: str) -> None:
    assert is_address(text)
    assert is_address(text, international=True)


@pytest.mark.parametrize("text", ["用户@例子.广告", "bo\u0308ss1@gro\u00df.example"])
def test_an_international_address_is_no_recipient(text: str) -> None:
    assert not is_address(text)
    assert is_address(text, international=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@example.com",
        "a@",
        "a@b@example.com",
        "a@example",
        "a@example.c",
        "a@127.0.0.1",
        "a@example.com,b@example.com",
        "a@example.com b@example.com",
        "a@example.com;b@example.com",
        "a:b@example.com",
        "<a@example.com>",
        "Alice <a@example.com>",
        "a@example.com\n",
        "a\x00@example.com",
        "a@-example.com",
        "a@example-.com",
        "a@ex_ample.com",
        "{owner}@example.com",
        "a..b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a@.example.com",
        '"a"@example.com',
        "a" * 250 + "@example.com",
        None,
        7,
        ["a@example.com"],
    ],
)
def test_what_is_no_address(text: object) -> None:
    assert not is_address(text)
    assert not is_address(text, international=True)


@pytest.mark.parametrize(
    ("address", "domains", "found"),
    [
        pytest.param("a@x.com", [], "", id="any"),
        pytest.param("a@X.com", ["x.COM"], "", id="letter-case"),
        pytest.param("a@sub.x.com", ["x.com"], "sub.x.com", id="subdomain"),
        pytest.param("a@groß.example", ["gross.example"], "groß.example", id="other-letters"),
    ],
)
def test_domains(address: str, domains: list[str], found: str) -> None:
    assert foreign_domain(address, domains) == found
