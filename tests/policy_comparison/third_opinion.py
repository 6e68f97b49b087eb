# SPDX-License-Identifier: Apache-2.0
"""python -m tests.policy_comparison.third_opinion: verdicts, and the evaluator of the tests, against somebody else's.

npm's @cloud-copilot/iam-simulate runs in a process of its own, from a temporary directory. It is no dependency of
anything, and neither ``make test`` nor CI asks it.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from c7n_iamusers.policy_comparison.comparison import EQUAL, NARROWER, WIDER, compare
from c7n_iamusers.policy_comparison.principals import RequestContext, session_context, user_context
from tests.policy_comparison.random_policies import Pair, Statement, pairs, requests
from tests.policy_comparison.reference_evaluator import Context, Evaluator, _arns_match, _Unresolved
from tests.policy_comparison.reference_evaluator import Request as Asked
from tests.policy_comparison.test_random_pairs import (
    ALICE,
    AS_SESSION,
    AS_USER,
    CHUNK,
    REQUESTS,
    answers,
    document,
    evaluators,
    policies,
)

PACKAGE = "@cloud-copilot/iam-simulate@0.1.173"
_SCRIPT = Path(__file__).with_name("third_opinion.cjs")
#: Keys with several values, which the package takes as a list.
_MULTIVALUED = frozenset({"aws:tagkeys"})
#: A real action: no name of one has a colon.
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")
_LINE = 100
Request = tuple[str, str, Context]
Document = dict[str, Any]
#: Policies, their boundary and requests -> for each request whether it is granted, or why that can't be said.
Ask = Callable[[Document, "Document | None", Sequence[Request]], list["bool | str"]]


def _any_service(policy: Document) -> Document:
    def whole(patterns: Any) -> list[str]:
        return ["*" if each in ("*:*", "*:") else each for each in patterns]

    return _each(policy, lambda one: {key: whole(one[key]) if "Action" in key else one[key] for key in one})


def _whole_arns(policy: Document) -> Document:
    def whole(arn: str) -> str:
        return arn + ":*" * (5 - arn.count(":")) if arn.startswith("arn:") else arn

    return _each(
        policy,
        lambda one: {key: [*map(whole, one[key])] if key == "NotResource" else one[key] for key in one},
    )


def _literal_variables(policy: Document) -> Document:
    if policy["Version"] == "2012-10-17":
        return policy
    text = json.dumps(policy["Statement"]).replace("${", "${$}{")
    return {"Version": "2012-10-17", "Statement": json.loads(text)}


def _each(policy: Document, change: Callable[[Statement], Statement]) -> Document:
    return {**policy, "Statement": [change(each) for each in policy["Statement"]]}


#: What the package reads otherwise than AWS's text has it -> the same policy, written so that it is read alike.
KNOWN: dict[str, Callable[[Document], Document]] = {
    "a wildcard for the service of an action": _any_service,
    "an incomplete ARN in NotResource": _whole_arns,
    "a variable in a policy of 2008": _literal_variables,
}


class FieldByField(Evaluator):
    """Reads resources as the package does: no wildcard reaches beyond its field of an ARN."""

    def _hits(self, pattern: str, request: Asked, modern: bool) -> bool:
        if not pattern.startswith("arn:"):
            return super()._hits(pattern, request, modern)
        whole = pattern + ":*" * max(0, 5 - pattern.count(":"))
        try:
            return _arns_match(self._pieces(whole, request.context, modern), request.resource)
        except _Unresolved:
            return False


#: What ``FieldByField`` explains.
BEYOND = "a wildcard that reaches beyond its field"


def rewritten(policy: Document) -> Document:
    """``policy`` without what the package is known to read otherwise; it means the same."""
    for rewrite in KNOWN.values():
        policy = rewrite(policy)
    return policy


class Survey:
    """Asks about pairs. ``counts``: requests by how the answers compare. ``found``: what nothing known explains."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.counts: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.found: list[str] = []

    def of(self, pair: Pair, random: Random) -> None:
        """Compare the answers about the pair's policies, and its verdict with the package's answers."""
        asked = [each for each in requests(pair, random, REQUESTS) if _ACTION.fullmatch(each[0])]
        callers = (AS_SESSION, AS_USER) if pair.by_session else (AS_USER[:1], AS_USER[:1])
        sides = ((pair.new, pair.new_boundary, callers[0]), (pair.old, pair.old_boundary, callers[1]))
        granted = [self._side(pair, asked, *side) for side in sides]
        self._verdict(pair, asked, *granted)

    def _side(
        self,
        pair: Pair,
        asked: Sequence[Request],
        own: list[Statement],
        limits: list[Statement] | None,
        callers: list[Context],
    ) -> list[set[bool | str]]:
        """For each request the package's answers, by the policies as they are rewritten, for all callers."""
        whole = [
            (action, resource, {**context, **who}) for action, resource, context in asked for who in callers
        ]
        policy = document(own, pair.version)
        boundary = None if limits is None else document(limits, pair.version)
        alike = evaluators(pair)
        ours = [
            [answers(each, request, [{}], own, limits, pair.version) for each in alike] for request in whole
        ]
        fields = [
            [answers(_by_fields(each), request, [{}], own, limits, pair.version) for each in alike]
            for request in whole
        ]
        alone = {name: self._asked(rewrite, policy, boundary, whole) for name, rewrite in KNOWN.items()}
        after = self._asked(rewritten, policy, boundary, whole)
        for number, theirs in enumerate(self._asked(dict, policy, boundary, whole)):
            kind = _kind(theirs, ours[number])
            if kind == "disagreed":
                right = [name for name in KNOWN if _kind(alone[name][number], ours[number]) != kind]
                right += [BEYOND] if _kind(theirs, fields[number]) != kind else []
                known = any(_kind(after[number], each[number]) != kind for each in (ours, fields))
                kind = right[0] if right else "several of these" if known else kind
            self.counts[kind] += 1
            if kind in ("disagreed", "not answered"):
                self.found.append(f"{kind}, {theirs}: {json.dumps([policy, boundary, whole[number]])}")
        size = len(callers)
        return [set(after[at : at + size]) for at in range(0, len(after), size)]

    def _asked(
        self,
        rewrite: Callable[[Document], Document],
        policy: Document,
        boundary: Document | None,
        whole: Sequence[Request],
    ) -> list[bool | str]:
        return self._ask(rewrite(policy), None if boundary is None else rewrite(boundary), whole)

    def _verdict(
        self,
        pair: Pair,
        asked: Sequence[Request],
        after: list[set[bool | str]],
        before: list[set[bool | str]],
    ) -> None:
        ways = (session_context(), user_context(ALICE)) if pair.by_session else (RequestContext(),) * 2
        new = policies(pair.new, pair.new_boundary, pair.version)
        old = policies(pair.old, pair.old_boundary, pair.version)
        verdict, witnesses = compare(new, ways[0], old, ways[1])
        self.verdicts[verdict] += 1
        wrong: list[Any] = []
        if verdict in (EQUAL, NARROWER):
            pairs_of = zip(asked, after, before, strict=True)
            wrong = [
                request
                for request, one, other in pairs_of
                if (True in one and False in other) or (verdict == EQUAL and one != other)
            ]
        elif verdict == WIDER and pair.is_plain:
            shown: list[Request] = [(each.action, each.resource, {}) for each in witnesses]
            shown = [each for each in shown if _ACTION.fullmatch(each[0])]
            sides = ((pair.new, pair.new_boundary), (pair.old, pair.old_boundary))
            one, other = (
                self._asked(
                    rewritten,
                    document(own, pair.version),
                    None if limits is None else document(limits, pair.version),
                    shown,
                )
                for own, limits in sides
            )
            wrong = [each for each, *said in zip(shown, one, other, strict=True) if said != [True, False]]
        self.counts["verdicts contradicted"] += bool(wrong)
        self.found += [f"contradicts {verdict}: {json.dumps([vars(pair), each])}" for each in wrong[:1]]


def _by_fields(each: list[Evaluator]) -> list[Evaluator]:
    return [FieldByField(one.reading, one.unknown, one.strange) for one in each]


def _kind(theirs: bool | str, ours: list[set[bool]]) -> str:
    """How an answer compares with ours: a set for each reading of AWS's text, with all that unknown keys may mean."""
    if isinstance(theirs, str):
        return "not answered"
    if all(each == {theirs} for each in ours):
        return "agreed"
    if all(theirs in each for each in ours):
        return "agreed, where keys and operators are unknown"
    return "agreed by one of two readings" if any(theirs in each for each in ours) else "disagreed"


@contextmanager
def asking(place: Path) -> Iterator[Ask]:
    """Asks the package, which is installed in ``place``, in a process of its own."""
    with subprocess.Popen(
        ["node", str(_SCRIPT)], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask(policy: Document, boundary: Document | None, asked: Sequence[Request]) -> list[bool | str]:
            assert process.stdin is not None
            assert process.stdout is not None
            sent = [[action, resource, _sent(context)] for action, resource, context in asked]
            line = {"policies": [policy], "boundary": boundary, "requests": sent}
            process.stdin.write(f"{json.dumps(line)}\n")
            process.stdin.flush()
            found: list[bool | str] = json.loads(process.stdout.readline())
            return found

        yield ask


def _sent(context: Context) -> dict[str, Any]:
    return {key: [*each] if key in _MULTIVALUED else each[0] for key, each in context.items()}


def main() -> int:
    """See the module. The status is 1 where the package could not be installed, or an answer is not explained."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.policy_comparison.third_opinion", description=__doc__
    )
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if missing := [name for name in ("node", "npm") if not shutil.which(name)]:
        print(f"NOT TRIED: the third opinion on policies, as this machine has no {' and no '.join(missing)}")
        return 0
    with tempfile.TemporaryDirectory(prefix="third-opinion-") as place:
        install = [
            "npm",
            "install",
            "--prefix",
            place,
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            PACKAGE,
        ]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"NOT TRIED: the third opinion on policies, as npm can't install {PACKAGE}: {done.stderr}")
            return 1
        with asking(Path(place)) as ask:
            survey = Survey(ask)
            for seed in range(options.seed, options.seed + max(1, options.pairs // CHUNK)):
                for pair, random in pairs(seed, CHUNK):
                    survey.of(pair, random)
    print(
        f"third opinion on policies: {PACKAGE}: {sum(survey.verdicts.values()):,} pairs, {dict(survey.verdicts)}"
    )
    for kind, number in survey.counts.most_common():
        print(f"  {kind}: {number:,}")
    print(*survey.found[:20], sep="\n")
    return int(bool(survey.found))


if __name__ == "__main__":
    sys.exit(main())
