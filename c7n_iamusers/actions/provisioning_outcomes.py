# SPDX-License-Identifier: Apache-2.0
"""From people, each provisioned once, back to an outcome for each IAM user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from botocore.exceptions import ClientError

from c7n_iamusers.aws.executor import CallFailed
from c7n_iamusers.aws.retries import error_code
from c7n_iamusers.decisions.people import Candidate
from c7n_iamusers.model.calls import Subject
from c7n_iamusers.model.identity_center import KnownPerson, Person
from c7n_iamusers.model.outcome import FAILED, Outcome

Key = tuple[str, str]


@dataclass(frozen=True)
class Found:
    """A person and the Identity Center user it has, if any; ``verdict`` where it is settled already."""

    subject: Subject
    person: Person
    known: KnownPerson | None = None
    verdict: Outcome | None = None

    @property
    def final(self) -> bool:
        """True where nothing further can be done for the person in this run."""
        return self.verdict is not None and self.verdict.status == FAILED


def one_each(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first candidate of each person: several IAM users of one person meet in one Identity Center user."""
    firsts: dict[Key, Candidate] = {}
    for candidate in candidates:
        if candidate.person:
            firsts.setdefault(candidate.person.key, candidate)
    return list(firsts.values())


def in_order(candidates: Sequence[Candidate], found: list[Found]) -> list[Outcome]:
    """An outcome for each of ``candidates``; a further IAM user of a person shares its outcome, not its calls."""
    verdicts = {each.person.key: each.verdict for each in found if each.verdict}
    return [_outcome(each, verdicts[each.person.key] if each.person else None) for each in candidates]


def _outcome(candidate: Candidate, verdict: Outcome | None) -> Outcome:
    subject = candidate.subject
    if verdict is None:
        return Outcome(
            subject.name, subject.arn, FAILED, f"{subject}: {candidate.problem}", code="InvalidPerson"
        )
    if verdict.arn == subject.arn:
        return verdict
    return replace(verdict, user=subject.name, arn=subject.arn, calls=0, seconds=0.0)


def failed(subject: Subject, error: Exception) -> Outcome:
    """The failure of ``subject`` by ``error``, naming user and account."""
    if isinstance(error, CallFailed):
        code, reason = error.code, str(error)
    else:
        code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
        reason = str(error)
    told = reason if str(subject) in reason else f"{subject}: {reason}"
    return Outcome(subject.name, subject.arn, FAILED, told, code=code)
