# SPDX-License-Identifier: Apache-2.0
"""The users that runs saw, selected and touched, made of what each run left. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from sys import intern
from typing import Any

from c7n_iamusers.evidence.seen_users import BY_NOBODY, LEFT_OUT
from c7n_iamusers.evidence.seen_users import FLAGGED as LISTED
from c7n_iamusers.reasons import NO_QUARANTINE, codes_of
from c7n_iamusers.report.outputs import PolicyOutput
from c7n_iamusers.report.selected_users import Selected
from c7n_iamusers.report.users import Row, User, began
from c7n_iamusers.text.times import as_text, moment


class Users:
    """The users that outputs name, by ARN and unique id. A user that is created again has the ARN of the former one."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], User] = {}

    def of(self, arn: str, unique_id: str, account: str) -> User:
        """The user of an ARN with this unique id. ``account``: that of the run."""
        if user := self.found.get((arn, unique_id)):
            return user
        # The ARN's account, and not the run's, is the user's.
        user = User(intern(arn.split(":")[4] or account), arn.rpartition("/")[2], arn, unique_id)
        self.found[arn, unique_id] = user
        return user

    def why_skipped(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """The code of an outcome; for a user that is not in quarantine, also the code of the reason for that."""
        code = str(row.get("code") or "")
        user = self.found.get((str(row["arn"]), row["unique_id"])) if code in NO_QUARANTINE else None
        why = user.left_out() if user else None
        return (code, why["code"]) if why else (code,)


def users_of(outputs: Iterable[PolicyOutput], account_of: Callable[[PolicyOutput], str]) -> Users:
    """All users that ``outputs`` name. ``account_of``: the id, or else the name, of an output's account."""
    known = Users()
    outputs = sorted(outputs, key=began)
    for output in outputs:
        _judge(known, output, account_of(output))
        for each in output.users or ():
            _select(known.of(each.arn, each.unique_id, account_of(output)), each, output)
    for arn, unique_id, event, output in _entries(outputs):
        known.of(arn, unique_id, account_of(output)).add(event)
    _note_gone(known, outputs, account_of)
    return known


def _note_gone(
    known: Users, outputs: Iterable[PolicyOutput], account_of: Callable[[PolicyOutput], str]
) -> None:
    """Note users whom the latest run over a whole account did not see, or whose name another user has since."""
    listed = {
        account_of(each): each.time for each in outputs if each.time and each.seen and each.seen.complete
    }
    newest = dict[str, User]()
    for user in sorted(known.found.values(), key=User.latest):
        missed = listed.get(user.account)
        if missed and user.latest() < missed:
            user.gone_since = missed
        if (former := newest.get(user.arn)) and not former.gone_since:
            former.gone_since = user.first_seen
        newest[user.arn] = user


def _judge(known: Users, output: PolicyOutput, account: str) -> None:
    """What the filter ``unnecessary`` made of users that the policy did not select."""
    rules = output.seen.rules if output.seen else ()
    for each in output.seen.users if output.seen else ():
        user, state, why = known.of(each.arn, each.unique_id, account), each.state, each.why
        if each.rule is not None:
            why = f"{rules[each.rule]}: {rules[each.rule].reason}"
        elif state == LISTED and output.users is not None:
            state, why = LEFT_OUT, f"another filter of {output.policy}"
        user.judge(state, intern(why), each.denied, began(output))
        if rules:
            user.rules = tuple(rules[number] for number in (*each.protecting, *each.expired))


def _entries(outputs: Iterable[PolicyOutput]) -> Iterator[tuple[str, str, Row, PolicyOutput]]:
    """The ARN, unique id and event of each outcome, the earlier ones of its row first."""
    for output in outputs:
        for row in output.rows:
            for entry in (*row.get("history", ()), row):
                # an earlier outcome without a time is not of this run
                event = event_of(entry, output, output.time if entry is row else None)
                yield str(row["arn"]), row["unique_id"], event, output


def _select(user: User, selected: Selected, output: PolicyOutput) -> None:
    """Outputs come in the order of their time, so what a later one knows takes the place."""
    if output.seen and output.seen.rules and user.judged_at < began(output):
        user.rules = ()
    user.judge(LISTED, "", BY_NOBODY, began(output))
    user.selected = True
    user.last_seen = output.time or user.last_seen
    user.created = as_text(moment(selected.created)) or user.created
    if keys := selected.evidence.keys:
        kept = (each for each in user.found if not each.keys <= keys)
        user.found = (*kept, selected.evidence)


def event_of(row: Mapping[str, Any], output: PolicyOutput, otherwise: datetime | None) -> Row:
    """The outcome of ``row``. ``otherwise``: its time where it has none."""
    # with fractions of a second: a run may write that the one before was stopped, and then what it did itself
    time = moment(row.get("time")) or otherwise
    texts = {key: intern(str(row.get(key) or "")) for key in ("status", "reason", "code", "call", "error")}
    codes = list(map(intern, codes_of(row)))
    policy = intern(str(row.get("policy") or output.policy))
    return {"time": time.isoformat() if time else "", "policy": policy, **texts, "codes": codes}
