# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from c7n_iamusers.organization.yaml_edits import NotEditable, with_account_emails, with_owners

pytestmark = pytest.mark.pure

A, B = "111122223333", "444455556666"
ADDRESS = "new@example.com"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            f"# top\naccounts:\n  - account_id: '{A}'  # id\n    role: r\n    vars:  # of mails\n      # name\n"
            f"      account_name: x\n  # next\n  - account_id: '{B}'\n",
            f"# top\naccounts:\n  - account_id: '{A}'  # id\n    role: r\n    vars:  # of mails\n"
            f"      owner: {ADDRESS}\n      # name\n      account_name: x\n  # next\n  - account_id: '{B}'\n",
            id="above-the-comment-of-another-variable",
        ),
        pytest.param(
            f"accounts:\n- name: x\n  account_id: '{A}' # id\n  # the role\n  role: r\n",
            f"accounts:\n- name: x\n  account_id: '{A}' # id\n  vars:\n    owner: {ADDRESS}\n  # the role\n  role: r\n",
            id="no-variables",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'",
            f"accounts:\n- account_id: '{A}'\n  vars:\n    owner: {ADDRESS}\n",
            id="no-last-newline",
        ),
        pytest.param(
            f"accounts:\r\n- account_id: '{A}'\r\n  role: r\r\n",
            f"accounts:\r\n- account_id: '{A}'\r\n  vars:\r\n    owner: {ADDRESS}\r\n  role: r\r\n",
            id="crlf",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars: {{owner: old@example.com, a: b}} # x\n",
            f"accounts:\n- account_id: '{A}'\n  vars: {{owner: \"{ADDRESS}\", a: b}} # x\n",
            id="other-owner-in-braces",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars:\n    owner: 'old@example.com' # x\n    a: b\n",
            f"accounts:\n- account_id: '{A}'\n  vars:\n    owner: {ADDRESS} # x\n    a: b\n",
            id="other-owner",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars:\n    owner:\n    a: b\n",
            f"accounts:\n- account_id: '{A}'\n  vars:\n    owner: {ADDRESS}\n    a: b\n",
            id="empty-owner",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars:\n  role: r\n",
            f'accounts:\n- account_id: \'{A}\'\n  vars: {{"owner": "{ADDRESS}"}}\n  role: r\n',
            id="empty-variables",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars: {{}}\n",
            f'accounts:\n- account_id: \'{A}\'\n  vars: {{"owner": "{ADDRESS}"}}\n',
            id="no-variable-in-braces",
        ),
        pytest.param(
            f'{{"accounts": [{{"account_id": "{A}", "role": "r"}}, {{"account_id": "{A}", "vars": {{"a": 1}}}}]}}',
            f'{{"accounts": [{{"account_id": "{A}", "vars": {{"owner": "{ADDRESS}"}}, "role": "r"}}, '
            f'{{"account_id": "{A}", "vars": {{"owner": "{ADDRESS}", "a": 1}}}}]}}',
            id="json",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars: {{ owner:   {ADDRESS} }}\n",
            f"accounts:\n- account_id: '{A}'\n  vars: {{ owner:   {ADDRESS} }}\n",
            id="the-same-owner",
        ),
    ],
)
def test_an_owner_in_accounts_yml(before: str, after: str) -> None:
    assert with_owners(before, {A: ADDRESS}) == after


def test_an_address_that_needs_quotes() -> None:
    found = with_owners(f"accounts:\n- account_id: '{A}'\n", {A: "#team'x@example.com"})
    assert found.endswith('owner: "#team\'x@example.com"\n')


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars: &v\n    a: b\n- account_id: '{B}'\n  vars: *v\n",
            id="shared-variables",
        ),
        pytest.param(
            f"vars: &v\n  a: b\naccounts:\n- account_id: '{A}'\n  vars: *v\n",
            id="the-variables-of-all",
        ),
        pytest.param(
            f"x: &x {{account_id: '{A}'}}\naccounts:\n- <<: *x\n  name: a\n",
            id="the-account-by-a-merge-key",
        ),
        pytest.param(
            f"x: &x {{vars: {{a: b}}}}\naccounts:\n- <<: *x\n  account_id: '{A}'\n",
            id="variables-by-a-merge-key",
        ),
        pytest.param(
            f"accounts:\n- account_id: '{A}'\n  vars: {{owner: &o old@example.com, b: *o}}\n",
            id="an-anchored-owner",
        ),
    ],
)
def test_what_would_change_something_else_is_refused(text: str) -> None:
    with pytest.raises(NotEditable, match="by an anchor: write them by hand"):
        with_owners(text, {A: ADDRESS})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("a: b\n", f'a: b\naccount_emails:\n  "{A}": [{ADDRESS}]\n', id="none"),
        pytest.param("a: b", f'a: b\naccount_emails:\n  "{A}": [{ADDRESS}]\n', id="none-and-no-newline"),
        pytest.param(
            "account_emails:\na: b\n", f'account_emails: {{"{A}": ["{ADDRESS}"]}}\na: b\n', id="empty"
        ),
        pytest.param(
            f'account_emails:\n  # B\n  "{B}": [b@example.com]\n',
            f'account_emails:\n  "{A}": ["{ADDRESS}"]\n  # B\n  "{B}": [b@example.com]\n',
            id="of-another-account",
        ),
        pytest.param(
            f"account_emails:\n  '{A}': [a@example.com] # A\n",
            f"account_emails:\n  '{A}': [\"{ADDRESS}\", a@example.com] # A\n",
            id="others-stay",
        ),
        pytest.param(
            f"account_emails:\n  '{A}':\n    # A\n    - a@example.com\nx: y\n",
            f"account_emails:\n  '{A}':\n    # A\n    - {ADDRESS}\n    - a@example.com\nx: y\n",
            id="others-stay-in-lines",
        ),
        pytest.param(
            f"account_emails: {{'{A}': []}}\n",
            f"account_emails: {{'{A}': [\"{ADDRESS}\"]}}\n",
            id="no-address",
        ),
        pytest.param(
            f"account_emails: {{'{A}': [a@example.com, {ADDRESS}]}}\n",
            f"account_emails: {{'{A}': [a@example.com, {ADDRESS}]}}\n",
            id="there-already",
        ),
    ],
)
def test_an_owner_in_mailer_yml(before: str, after: str) -> None:
    assert with_account_emails(before, {A: ADDRESS}) == after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(f"account_emails: {{{A}: [a@example.com]}}\n", "put account ids in quotes", id="number"),
        pytest.param(f"account_emails: {{'{A}': a@example.com}}\n", "to a list of addresses", id="text"),
        pytest.param("[]\n", "no mapping of settings", id="list"),
    ],
)
def test_a_mailer_yml_that_sends_nothing_is_refused(text: str, told: str) -> None:
    with pytest.raises(NotEditable, match=told):
        with_account_emails(text, {A: ADDRESS})
