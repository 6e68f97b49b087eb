# SPDX-License-Identifier: Apache-2.0
"""iam-users.yml: its defaults, and each mistake with its line."""

from __future__ import annotations

import pytest

from c7n_iamusers.cycle.settings import BY_CYCLE, Roles, Settings, read_settings
from c7n_iamusers.cycle.steps import STEPS, steps_of
from c7n_iamusers.text.documents import NotInFormat

pytestmark = pytest.mark.pure

WHOLE = """\
---
organization: o-a1b2c3d4e5
accounts: accounts.yml
policies: policies
output: s3://example-output/iam-users?region=eu-central-1
roles: {reader: team/R, remover: team/D, restorer: team/B, provisioner: P}
provision: true
steps: [announce, remind, provision, brownout, listen, quarantine, delete]
approve: [provision, delete]
waves: {clean-days: 2.5}
mailer: cycle
"""


def test_what_the_whole_file_says() -> None:
    found = read_settings(WHOLE)
    assert (found.organization, found.output) == (
        "o-a1b2c3d4e5",
        "s3://example-output/iam-users?region=eu-central-1",
    )
    assert found.roles == Roles("team/R", "team/D", "team/B", "P")
    assert (found.approve, found.clean_days, found.mailer) == (("provision", "delete"), 2.5, BY_CYCLE)
    assert found.steps is not None
    assert "brownout" in found.steps


@pytest.mark.parametrize("content", ["", "---\n", "{}\n"])
def test_an_empty_file_has_the_defaults(content: str) -> None:
    assert read_settings(content) == Settings()


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (1, "- accounts.yml", "is list in YAML"),
        (2, "\naccountss: accounts.yml", "did you mean accounts?"),
        (2, "\nnotices: s3://b", "belongs into the accounts file"),
        (1, "accounts: 12", "accounts must be a text"),
        (1, "accounts: -x.yml", "must match"),
        (1, "output: s3://B", "must match"),
        (1, "output: 's3://bucket/{x}'", "must match"),
        (1, "organization: 1234", "organization must be a text"),
        (1, "roles: R", "roles must have reader"),
        (3, "roles:\n  reader: R\n  deleter: D", "roles has 'deleter'"),
        (3, "roles:\n  reader: R\n  remover: 'arn:aws:iam::1:role/R'", "roles.remover"),
        (1, "provision: 'yes'", "provision must be one of True, False"),
        (1, "provision: 1", "provision must be one of"),
        (1, "steps: announce", "steps must be a list"),
        (1, "steps: [announced]", "must be one of 'announce'"),
        (1, "steps: [listen, listen]", "names a step twice"),
        (2, "steps: [listen]\napprove: [delete]", "which is not among the steps"),
        (1, "approve: [listen]", "must be one of 'provision', 'delete'"),
        (2, "provision: false\nsteps: [provision]", "correct one of them"),
        (2, "waves:\n  clean-days: -1", "waves.clean-days must be a number of days"),
        (1, f"output: s3://bucket/{'x' * 1000}", "output must have"),
        (1, f"output: {'x' * 1001}", "output must have"),
        (1, f"steps: [{', '.join(['listen'] * 20)}]", "steps must"),
        (2, "waves:\n  clean-days: true", "waves.clean-days must be a number of days"),
        (1, "mailer: yes", "mailer must be one of"),
        (2, "mailer: cycle\nmailer: elsewhere", "given twice"),
        (1, "accounts: [", ""),
        (1, "accounts: !!python/name:os.system", ""),
    ],
)
def test_a_mistake_has_its_line(line: int, text: str, says: str) -> None:
    with pytest.raises(NotInFormat) as refused:
        read_settings(text)
    assert says in str(refused.value)
    assert refused.value.line in (line, line + 1) if not says else refused.value.line == line


FILES = frozenset(file for each in STEPS for file in each.files)


@pytest.mark.parametrize(
    ("named", "provision", "files", "found"),
    [
        (
            None,
            True,
            FILES,
            "announce remind provision listen quarantine attempts delete your-access",
        ),
        (None, False, FILES, "announce remind listen quarantine attempts delete"),
        (None, True, {"flag-and-notify.yml", "delete.yml"}, "announce delete"),
        # in the order of the table, whatever that of the settings is
        (("delete", "brownout", "announce"), True, FILES, "announce brownout delete"),
        # of what is not named, no policies are needed
        (("delete",), True, {"delete.yml"}, "delete"),
    ],
)
def test_the_steps_of_a_workspace(
    named: tuple[str, ...] | None, provision: bool, files: set[str], found: str
) -> None:
    assert [each.name for each in steps_of(named, provision, files)] == found.split()


def test_a_step_without_policies_is_refused() -> None:
    with pytest.raises(ValueError, match=r"brownout needs brownout.yml"):
        steps_of(("announce", "brownout"), True, {"flag-and-notify.yml"})


def test_what_a_file_may_just_be() -> None:
    assert read_settings(f"output: {'x' * 1000}").output == "x" * 1000
    assert read_settings("output: x").output == "x"
    assert read_settings("approve: [delete]").approve == ("delete",)


def test_one_setting_alone_is_meant() -> None:
    with pytest.raises(NotInFormat, match=r"did you mean policies\? A variable"):
        read_settings("policy: x")
