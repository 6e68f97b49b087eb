# SPDX-License-Identifier: Apache-2.0
"""What must hold for any user and any evidence: less knowledge and more exemptions never select anybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c7n_iamusers.evidence.assessment import Criteria, activity_of, assess, is_unused
from c7n_iamusers.evidence.classification import classify
from c7n_iamusers.evidence.findings import FINDING_IDS
from c7n_iamusers.evidence.model import KINDS, Credential, Evidence, LastUse, Source
from c7n_iamusers.evidence.selection import Selection
from c7n_iamusers.exemptions import ExemptionRule, find_exemption
from c7n_iamusers.iam.policy_documents import AppliedPolicy
from c7n_iamusers.iam.user import IamUser
from tests.evidence_records import CREDENTIAL_KINDS, NOW, PIECES, days_ago, evidence
from tests.examples import examples
from tests.records import groups, user

pytestmark = pytest.mark.pure

NAMES = ("alice", "ci-checkout", "dana.smith", "BedrockAPIKey-1", "x+y=z,1@example.com")
DAYS = st.integers(0, 400)
MOMENTS = DAYS.map(days_ago)
USES = st.sampled_from([MOMENTS.map(LastUse)] * 4 + [st.just(LastUse(None))] * 4 + [st.none()]).flatmap(
    lambda use: use
)
SERVICES = st.sampled_from(["bedrock.amazonaws.com", "codecommit.amazonaws.com", "cassandra.amazonaws.com"])


@st.composite
def credentials(draw: st.DrawFn, kind: str) -> tuple[Credential, ...]:
    one = st.builds(
        Credential,
        st.just(kind),
        st.just(kind),
        st.sampled_from([True, True, True, False, False, None]),
        st.one_of(MOMENTS, MOMENTS, MOMENTS, MOMENTS, st.none()),
        USES,
        SERVICES if kind == "service-specific-credential" else st.just(""),
    )
    found = st.lists(one, max_size=1 if kind == "login-profile" else 2).map(tuple)
    # Most users have none of the rest, and with it nobody is ever surely unused.
    common = kind in ("login-profile", "access-key")
    return draw(found if common else st.one_of(st.just(()), st.just(()), st.just(()), found))


@st.composite
def subjects(draw: st.DrawFn) -> IamUser:
    found = user(
        draw(st.sampled_from(NAMES)),
        path=draw(st.sampled_from(["/", "/vendors/", "/people/eu/"])),
        tags=draw(st.sampled_from([{}, {"Email": "a@example.com"}, {"Purpose": "x"}])),
        group=draw(st.sampled_from([(), groups("Admins"), groups("Admins", "Keep")])),
    )
    created = draw(st.one_of(MOMENTS, MOMENTS, MOMENTS, st.none()))
    return replace(found, detail={**found.detail, "CreateDate": created})


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    times = draw(st.lists(st.integers(0, 25), min_size=len(PIECES), max_size=len(PIECES)))
    sources = {
        piece: Source(piece, NOW - timedelta(hours=hours)) for piece, hours in zip(PIECES, times, strict=True)
    }
    return Evidence(
        {kind: draw(credentials(kind)) for kind in CREDENTIAL_KINDS},
        draw(st.booleans()),
        (),
        draw(st.sampled_from([(), ("arn:aws:iam::1:mfa/alice",)])),
        draw(st.sampled_from([(), ("arn:aws:iam::1:role/deploy",)])),
        draw(
            st.sampled_from(
                [(), (AppliedPolicy("AdministratorAccess", "arn:aws:iam::aws:policy/AdministratorAccess"),)]
            )
        ),
        None,
        sources,
    )


@st.composite
def less(draw: st.DrawFn, known: Evidence) -> Evidence:
    """The same evidence with one, two or three pieces of it missing."""
    for _ in range(draw(st.integers(1, 3))):
        losses = list(_losses(known))
        known = losses[draw(st.integers(0, len(losses) - 1))]
    return known


def _losses(known: Evidence) -> Iterator[Evidence]:
    """Every evidence that lacks one thing."""
    for kind, found in known.credentials.items():
        yield replace(
            known, credentials={other: c for other, c in known.credentials.items() if other != kind}
        )
        for at, each in enumerate(found):
            for blurred in (
                replace(each, active=None),
                replace(each, created=None),
                replace(each, last_use=None),
            ):
                changed = (*found[:at], blurred, *found[at + 1 :])
                yield replace(known, credentials={**known.credentials, kind: changed})
    for piece in known.sources:
        yield replace(known, sources={**known.sources, piece: Source(piece, None, "AccessDenied")})
    yield replace(known, mfa=None)
    yield replace(known, orphaned_mfa=None)
    yield replace(known, trusted_by=None)
    yield replace(known, grants=None)


@st.composite
def barely_alive(draw: st.DrawFn) -> tuple[IamUser, Evidence]:
    """A user that is idle but for one sign of life, or one thing that nobody knows: the hardest to judge."""
    old = days_ago(300)
    key = Credential("access-key", "key", True, old, LastUse(old))
    password = Credential("login-profile", "password", True, old, LastUse(old))
    signs = [
        replace(key, last_use=LastUse(days_ago(1))),
        replace(key, created=days_ago(1), last_use=LastUse(None)),
        replace(password, last_use=LastUse(days_ago(1))),
        replace(password, created=days_ago(1)),
        replace(key, last_use=None),
        replace(password, created=None),
        *(Credential(kind, kind, False, old, None) for kind in CREDENTIAL_KINDS[2:]),
    ]
    sign = draw(st.sampled_from([*signs, None]))
    held = [key, password] + ([sign] if sign else [])
    subject = user(draw(st.sampled_from(NAMES)))
    created = draw(st.sampled_from([old, old, old, days_ago(1)]))
    return replace(subject, detail={**subject.detail, "CreateDate": created}), evidence(*held)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    kinds = st.sampled_from([kind for kind in KINDS if kind != "unknown"])
    days = st.one_of(st.none(), st.integers(1, 300))
    ids = st.lists(st.sampled_from(FINDING_IDS), max_size=2).map(tuple)
    everybody: st.SearchStrategy[tuple[str, ...]] = st.just(())
    return Selection(
        draw(st.one_of(everybody, st.lists(kinds, max_size=3).map(tuple))),
        draw(st.one_of(st.none(), days)),
        draw(st.one_of(st.none(), days)),
        draw(st.one_of(everybody, ids)),
        draw(ids),
    )


def flagged(subject: IamUser, known: Evidence, selection: Selection, rules: list[ExemptionRule]) -> bool:
    """What the filter does with one user."""
    exemption = find_exemption(subject, rules, NOW.date())
    if exemption.rule:
        return False
    return selection.selects(assess(subject, known, exemption, Criteria(), NOW), NOW)


PATTERNS = st.one_of(
    st.tuples(st.just("user"), st.sampled_from(["*", "alice", "*-*", "nobody"])),
    st.tuples(st.just("path"), st.sampled_from(["/", "/vendors/*", "/people/*"])),
    st.tuples(st.just("tag"), st.sampled_from(["Purpose=*", "Email=*@example.com"])),
    st.tuples(st.just("group"), st.sampled_from(["Admins", "Keep", "Nobody"])),
)
IN_FORCE, RUN_OUT = date(2999, 1, 1), date(2020, 1, 1)


def rules_until(*expires: date) -> st.SearchStrategy[ExemptionRule]:
    return st.builds(
        lambda pattern, last: ExemptionRule(pattern[0], pattern[1], "because", last),
        PATTERNS,
        st.sampled_from(expires),
    )


@settings(deadline=None)
@given(
    subjects(),
    evidences(),
    selections(),
    st.lists(rules_until(IN_FORCE, RUN_OUT), max_size=3),
    rules_until(IN_FORCE),
)
def test_a_further_exemption_flags_nobody(
    subject: IamUser,
    known: Evidence,
    selection: Selection,
    rules: list[ExemptionRule],
    further: ExemptionRule,
) -> None:
    for extended in ([further, *rules], [*rules, further]):
        assert flagged(subject, known, selection, extended) <= flagged(subject, known, selection, rules)


@settings(deadline=None)
@given(
    subjects(),
    evidences(),
    selections(),
    st.lists(rules_until(IN_FORCE, RUN_OUT), max_size=3),
    rules_until(RUN_OUT),
)
def test_an_exemption_that_has_run_out_flags_only_where_that_is_asked_for(
    subject: IamUser,
    known: Evidence,
    selection: Selection,
    rules: list[ExemptionRule],
    further: ExemptionRule,
) -> None:
    if "expired-exemption" not in selection.any_of:
        assert flagged(subject, known, selection, [*rules, further]) <= flagged(
            subject, known, selection, rules
        )


@settings(deadline=None, max_examples=examples(200))
@given(st.one_of(st.tuples(subjects(), evidences()), barely_alive()), st.integers(1, 60), st.data())
def test_less_evidence_makes_nobody_unused(
    case: tuple[IamUser, Evidence], days: int, data: st.DataObject
) -> None:
    subject, known = case
    remaining = data.draw(less(known))
    assert is_unused(activity_of(subject, remaining), days, NOW) <= is_unused(
        activity_of(subject, known), days, NOW
    )


@settings(deadline=None)
@given(subjects(), evidences(), st.data())
def test_less_evidence_makes_no_other_kind(subject: IamUser, known: Evidence, data: st.DataObject) -> None:
    before, after = classify(subject, known), classify(subject, data.draw(less(known)))
    assert after.kind in (before.kind, "unknown")


@settings(deadline=None, max_examples=examples(200))
@given(subjects(), evidences(), selections(), st.data())
def test_less_evidence_selects_nobody(
    subject: IamUser, known: Evidence, selection: Selection, data: st.DataObject
) -> None:
    remaining = data.draw(less(known))
    assert flagged(subject, remaining, selection, []) <= flagged(subject, known, selection, [])
