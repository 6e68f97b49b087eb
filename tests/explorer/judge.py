# SPDX-License-Identifier: Apache-2.0
"""The invariants, judged from AWS's state and the files of a run alone. Knows nothing of the package but its files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.explorer.facts import GONE, Facts, difference, laid_over
from tests.explorer.rights import rights

#: Names that this tool gives to what it puts on a user, and AWS's policy that it uses.
DENY, BROWNOUT, OWN_TAGS = "c7n-iamusers-deny-all", "c7n-iamusers-brownout", "c7n-iamusers-"
AWS_DENY = "arn:aws:iam::aws:policy/AWSDenyAll"
#: Whom the list of exemptions has.
EXEMPT = "bob"
_SWITCHED = ("access-key", "ssh-key", "certificate", "service")
_ON = ("Active", "Set")
#: What the id of the statement of a quarantine's Deny begins with, which any machine may release.
_QUARANTINED = '"Sid": "Quarantined'
#: Whose ids are new when they are uploaded again.
_UPLOADED = ("ssh-key ", "certificate ")
_REMOVING = ("Delete", "Detach", "Remove", "Deactivate")
_TIME = re.compile(r"\d{8}T\d{6}Z|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
User = Mapping[str, Any]


@dataclass
class Judge:
    """``target``: "account/unique id" of alice. ``origin``: the facts that the flow may bring her back to.

    ``aws``: ARN -> document of AWS's policies. ``theirs``: the facts as they would be without the tool. ``allowed``:
    what alice may have at most. ``run``: the facts as this run found them; others' changes are in all three.
    ``releases``: it may end a quarantine, whoever put it on. ``undenied``: others took our Deny off, or changed it.
    ``restores``: what others let groups and policies allow while she can do nothing is not hers, unless the run gives
    her rights before it reads them again. ``unread``: such changes, by kind and key.
    ``earlier``: alice as she was allowed to be before others changed her who was restored in her place: what they took
    away can't be told from what is not visible yet, and is given again.
    ``made``: whom a restoration made in her place, whatever their name is since.
    ``key``: the only thing of hers that the flow is about, an access key; empty if it is about all of her.
    ``broken``: what does not hold, in words, each beginning with the name of its invariant.
    """

    target: str
    origin: Facts
    theirs: Facts
    aws: Mapping[str, str]
    releases: bool = False
    restores: bool = False
    key: str = ""
    broken: list[str] = field(default_factory=list)
    run: Facts = field(default_factory=dict)
    allowed: Facts = field(default_factory=dict)
    selected: set[str] = field(default_factory=set)
    undenied: bool = False
    earlier: list[User] = field(default_factory=list)
    exposed: set[str] = field(default_factory=set)
    unread: dict[tuple[str, str], Any] = field(default_factory=dict)
    met: list[str] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        users = {**self.theirs["users"], self.target: self.origin["users"][self.target]}
        self.allowed, self.run = {**self.theirs, "users": users}, self.theirs

    @property
    def account(self) -> str:
        """Alice's account."""
        return self.target.partition("/")[0]

    @property
    def name(self) -> str:
        """Her name, as it was."""
        return str(self.origin["users"][self.target]["name"])

    def begin(self, found: Facts) -> None:
        """A run begins."""
        self.run = found
        self.listed(found)

    def listed(self, found: Facts) -> None:
        """A run was told who there is: whoever is in alice's account by then may be selected, but the exempt.

        Whom an earlier run selected and deleted stays selected.
        """
        users = found["users"].items()
        if self.key:
            self.selected = {self.target}
            return
        gone = self.selected - found["users"].keys()
        self.selected = gone | {
            key for key, user in users if key.startswith(self.account) and user["name"] != EXEMPT
        }

    def others_did(self, before: Facts, after: Facts, now: datetime) -> None:
        """Somebody else changed something."""
        changes: Any = difference(before, after) or {}
        users = changes.get("users") or {}
        restored = [key for key in users if self._is_restored(key, before)]
        theirs = {**changes, "users": {key: each for key, each in users.items() if key not in restored}}
        self.theirs = laid_over(self.theirs, theirs)
        if self._waits(before, now):
            kinds = {kind: theirs.pop(kind) for kind in ("groups", "policies") if theirs.get(kind)}
            self.unread |= {(kind, key): each for kind in kinds for key, each in kinds[kind].items()}
        self.allowed = laid_over(self.allowed, theirs)
        self.run = laid_over(self.run, changes)
        hers = self.allowed["users"].get(self.target, {})
        if self.releases and _QUARANTINED in hers.get("inline", {}).get(DENY, ""):
            ended = {"users": {self.target: {"inline": {DENY: GONE}}}}
            self.allowed = laid_over(self.allowed, ended)
        held = (has_our_deny(each["users"].get(self.target, {})) for each in (before, after))
        names = {
            key
            for key, each in after["users"].items()
            if key.startswith(self.account) and each["name"] == self.name
        }
        self.exposed |= names - before["users"].keys()
        self.replaced |= self.exposed
        said = [
            each["users"].get(self.target, {}).get("inline", {}).get(DENY, "") for each in (before, after)
        ]
        self.undenied |= [*held] == [True, False] or (said[0] != "" and said[0] != said[1])
        for changed in (users[key] for key in restored if users[key] != GONE):
            of_hers = {key: each for key, each in changed.items() if key in (*_COMES_BACK, "credentials")}
            self.earlier.append(self.allowed["users"][self.target])
            self.allowed = laid_over(self.allowed, {"users": {self.target: of_hers}})

    def read(self, names: Iterable[str]) -> None:
        """The run was told of the groups and policies with these names or ARNs."""
        known = {f"{self.account}/{each}" for each in names}
        self.unread = {each: change for each, change in self.unread.items() if each[1] not in known}

    def _waits(self, facts: Facts, now: datetime) -> bool:
        """Whether she is to be restored, and can do nothing yet."""
        users = facts["users"].items()
        found = [each for key, each in users if key == self.target or self._is_restored(key, facts)]
        return self.restores and not any(self.rights_of(each, facts, now) for each in found)

    def removes(
        self, operation: str, parameters: Mapping[str, str], facts: Facts, now: datetime, when: str
    ) -> None:
        """A deletion is about to make a call. If it takes something from her, a Deny on everything is on her."""
        user = facts["users"].get(self.target, {})
        if operation == "DeleteUser" or parameters.get("UserName") != user.get("name") or self.undenied:
            return  # DeleteUser takes nothing that is left
        if operation.startswith(_REMOVING) and (may := self.rights_of(user, facts, now)):
            self._note("denied", when, f"nothing denies her {sorted(may)[:2]}")

    def found(self, facts: Facts, now: datetime, after: str, operation: str = "") -> None:
        """What AWS has ``after`` a call of the tool, which is of ``operation``."""
        for kind in ("groups", "policies", "roles"):
            if changes := difference(self._named(self.theirs[kind]), self._named(facts[kind])):
                self._note("untouched", after, f"{kind} changed: {changes}")
        own = f":mfa/{self.name}"
        devices = (
            {key: each for key, each in found["devices"].items() if not key.endswith(own)}
            for found in (self.theirs, facts)
        )
        if changes := difference(*devices):
            self._note("untouched", after, f"devices changed: {changes}")
        for key in {*facts["users"], *self.theirs["users"]} - {self.target, *self.selected}:
            if not self._is_restored(key, facts):
                self._untouched(key, facts, after, operation)
        for key in facts["users"]:
            if key in self.selected or self._is_restored(key, facts):
                self._within(key, facts, now, after)
        self._only_the_key(facts, after)

    def _only_the_key(self, facts: Facts, after: str) -> None:
        """Of whom a flow about one key changes, nothing but that key is changed."""
        if self.key and (changes := difference(*(self.without_key(each) for each in (self.theirs, facts)))):
            self._note("untouched", after, f"more of her than the key changed: {changes}")

    def without_key(self, facts: Facts) -> User:
        """Alice by ``facts`` as if she did not have the key; nothing if she is gone."""
        user = facts["users"].get(self.target, {})
        left_out = {"credentials": f"access-key {self.key}", "uses": self.key}
        return {
            name: {key: each for key, each in held.items() if key != left_out[name]}
            if name in left_out
            else held
            for name, held in user.items()
        }

    def key_status(self, facts: Facts) -> str:
        """The status of the key; empty if it is gone."""
        held = facts["users"].get(self.target, {}).get("credentials", {})
        return str(held.get(f"access-key {self.key}", ""))

    def _untouched(self, key: str, facts: Facts, after: str, operation: str) -> None:
        held, theirs = facts["users"].get(key), self.theirs["users"].get(key)
        if key in self.replaced and held and theirs:
            if _undenied(held) == _undenied(theirs):
                return  # that our Deny comes off again is judged at the end
            undone = operation == "DetachUserPolicy" and "AttachUserPolicy" in self.met
            if undone and difference(theirs, held) == {"attached": {AWS_DENY: GONE}}:
                return  # the outcome has to name the call that put it on
            if key in self.exposed and operation:
                self.met.append(operation)
                self.theirs = laid_over(self.theirs, {"users": {key: difference(theirs, held)}})
                return
        if held != theirs:
            self._note("untouched", after, f"user {key} changed: {difference(theirs, held)}")

    def _named(self, found: Facts) -> Facts:
        """``found`` with alice named as it is once she is gone: AWS then puts her unique id in place of her ARN."""
        names = {self.name, self.theirs["users"].get(self.target, {}).get("name", self.name)}
        alice = "|".join(re.escape(f"arn:aws:iam::{self.account}:user/{name}") for name in names)
        gone = self.target.partition("/")[2]
        named: Facts = json.loads(re.sub(rf"(?:{alice})(?![\w+=,.@-])", gone, json.dumps(found)))
        return named

    def _is_restored(self, key: str, facts: Facts) -> bool:
        user = facts["users"].get(key)
        new = key not in self.theirs["users"] and key.startswith(f"{self.account}/")
        if user and new and user["name"] == self.name:
            self.made.add(key)
        return bool(user) and key in self.made  # others may rename her since

    def _within(self, key: str, facts: Facts, now: datetime, after: str) -> None:
        of = self.target if self._is_restored(key, facts) else key
        user, most = facts["users"][key], self.allowed["users"].get(of)
        if most is None:
            return  # others deleted her, and what is left is theirs
        may = self.rights_of(user, facts, now)
        for (kind, each), change in self.unread.items() if may and of == self.target else ():
            self.allowed = laid_over(self.allowed, {kind: {each: change}})
        bounds = [most, *(self.earlier if of != key else ())]
        allowed = set().union(*(self.rights_of(each, self.allowed, now) for each in bounds))
        if wider := may - allowed:
            self._note("never wider", after, f"{key} may {sorted(wider)[:3]}")
        known = most["credentials"]
        for credential, status in user["credentials"].items():
            is_uploaded = credential.startswith(_UPLOADED) and credential not in known
            if status in _ON and not is_uploaded and known.get(credential) not in _ON:
                self._note(
                    "never wider", after, f"{key}: {credential} is {status}, and was {known.get(credential)}"
                )
        for kind in _UPLOADED:
            if may and _active(user, kind) > _active(most, kind):
                self._note("never wider", after, f"{key} has more of {kind} than it had")

    def rights_of(self, user: User, facts: Facts, now: datetime) -> set[Any]:
        """What ``user`` may do by ``facts``."""
        prefix = f"{self.account}/"
        own = {
            key.removeprefix(prefix): text
            for key, text in facts["policies"].items()
            if key.startswith(prefix)
        }
        groups = {
            key.removeprefix(prefix): each for key, each in facts["groups"].items() if key.startswith(prefix)
        }
        return rights(user, {**self.aws, **own}, groups, now)

    def ended(self, row: Mapping[str, Any], facts: Facts, now: datetime, why: str) -> None:
        """``row``: what the outcome says became of alice. ``why``: what the trace did."""
        status = str(row["status"])
        for operation in {*self.met} - {"PutUserPolicy", "DeleteUserPolicy"}:
            if operation not in row["reason"]:
                self._note(
                    "told",
                    why,
                    f"{operation} met somebody else of that name, and the outcome does not say so",
                )
        for key in self.replaced & facts["users"].keys() - self.selected:
            if has_our_deny(facts["users"][key]) and not has_our_deny(self.theirs["users"].get(key, {})):
                self._note("untouched", why, f"our Deny is left on {key}")
        self.met = []
        user = facts["users"].get(self.target)
        if status == "released" and self.undenied and user:
            # nothing tells any more that it was this tool that switched them off: it names them, and leaves them
            off = [
                each
                for each, found in user["credentials"].items()
                if found == "Inactive" and each.split()[1] in row["reason"]
            ]
            facts = laid_over(facts, {"users": {self.target: {"credentials": dict.fromkeys(off, "Active")}}})
        check = OUTCOMES.get(status)
        if check is None:
            self._note("outcome", why, f"unknown status {status!r}")
        elif problem := check(self, facts, now):
            self._note("outcome", why, f"it says {status}: {problem}")

    def reached(self, goal: str, facts: Facts, now: datetime, why: str) -> None:
        """The runs are over, and ``goal`` should be reached."""
        if problem := GOALS[goal](self, facts, now):
            self._note("converges", why, problem)

    def unchanged(self, before: Facts, after: Facts, why: str) -> None:
        """A run that had nothing to do changed nothing."""
        if changes := difference(before, after):
            self._note("idempotent", why, f"changed {changes}")

    def no_secrets(self, secrets: Iterable[str], places: Iterable[Path]) -> None:
        """No file below ``places`` holds one of ``secrets``."""
        for path in (each for place in places for each in place.rglob("*") if each.is_file()):
            content = path.read_bytes()
            if any(each.encode() in content for each in secrets):
                self._note("no secrets", str(path), "holds a secret")

    def _note(self, invariant: str, when: str, what: str) -> None:
        self.broken.append(f"{invariant}: {when}: {what}")

    def note(self, invariant: str, when: str, what: str) -> None:
        """What else does not hold."""
        self._note(invariant, when, what)


def _active(user: User, kind: str) -> int:
    return sum(status in _ON for each, status in user["credentials"].items() if each.startswith(kind))


def _denied(judge: Judge, user: User, facts: Facts, now: datetime) -> str:
    found = judge.rights_of(user, facts, now)
    return f"she may {sorted(found)[:2]}" if found else ""


def _is_gone(judge: Judge, facts: Facts, _: datetime) -> str:
    return "she is there" if judge.target in facts["users"] else ""


def _is_deleted(judge: Judge, facts: Facts, _: datetime) -> str:
    if judge.target in facts["users"]:
        return "she is there"
    left = [
        key for key, owner in facts["devices"].items() if key.endswith(f":mfa/{judge.name}") and not owner
    ]
    return f"left: {left}" if left and judge.name not in _names(judge, facts) else ""


def _names(judge: Judge, facts: Facts) -> set[str]:
    return {each["name"] for key, each in facts["users"].items() if key.startswith(f"{judge.account}/")}


def _is_quarantined(judge: Judge, facts: Facts, now: datetime) -> str:
    return _held(judge, facts, now, keep=False)


def _is_listened_to(judge: Judge, facts: Facts, now: datetime) -> str:
    return _held(judge, facts, now, keep=True)


def _held(judge: Judge, facts: Facts, now: datetime, *, keep: bool) -> str:
    user = facts["users"].get(judge.target)
    if user is None:
        return "she is gone"
    if found := _denied(judge, user, facts, now):
        return found
    on = [each for each, status in user["credentials"].items() if _switches(each) and status == "Active"]
    if on and not keep:
        return f"active: {on}"
    theirs = judge.theirs["users"].get(judge.target)
    if theirs is None:
        return ""
    changes = difference(_plain(theirs, keep), _plain(user, keep))
    return f"it changed more than that: {changes}" if changes else ""


def _undenied(user: User) -> User:
    return {
        **user,
        "inline": {name: each for name, each in user["inline"].items() if name not in (DENY, BROWNOUT)},
    }


def has_our_deny(user: User) -> bool:
    """Whether our Deny-all is on the user, in one of its forms."""
    return "Deny" in user.get("inline", {}).get(DENY, "") or AWS_DENY in (
        user.get("boundary"),
        *user.get("attached", ()),
    )


def _switches(credential: str) -> bool:
    return credential.split()[0] in _SWITCHED


def _plain(user: User, keep: bool) -> User:
    """``user`` without what a quarantine puts on it."""
    credentials = {
        each: status if keep or not _switches(each) else "switched"
        for each, status in user["credentials"].items()
    }
    return {
        **user,
        "credentials": credentials,
        "tags": {key: each for key, each in user["tags"].items() if not key.startswith(OWN_TAGS)},
        "inline": {key: each for key, each in user["inline"].items() if key not in (DENY, BROWNOUT)},
        "attached": {key: each for key, each in user["attached"].items() if key != AWS_DENY},
        "boundary": "" if user["boundary"] == AWS_DENY else user["boundary"],
    }


def _is_browned_out(judge: Judge, facts: Facts, now: datetime) -> str:
    user = facts["users"].get(judge.target)
    return "she is gone" if user is None else _held(judge, facts, now, keep=True)


def _is_given_back(judge: Judge, facts: Facts, _: datetime) -> str:
    user, was = facts["users"].get(judge.target), judge.allowed["users"].get(judge.target)
    if user is None:
        return "she is gone"
    changes = difference(was, user)
    return f"it is not as before: {changes}" if changes else ""


#: What comes back of a deleted user.
_COMES_BACK = ("name", "path", "tags", "boundary", "groups", "inline", "attached")


def _is_restored(judge: Judge, facts: Facts, _: datetime) -> str:
    found = [
        each
        for key, each in facts["users"].items()
        if each["name"] == judge.name and key.startswith(judge.account)
    ]
    if len(found) != 1:
        return f"there are {len(found)} of that name"
    was, user = judge.allowed["users"][judge.target], dict(found[0])
    user["tags"] = {key: each for key, each in user["tags"].items() if not key.startswith(OWN_TAGS)}
    changes = difference({key: was[key] for key in _COMES_BACK}, {key: user[key] for key in _COMES_BACK})
    return f"it is not as before: {changes}" if changes else ""


def _is_same(judge: Judge, facts: Facts, _: datetime) -> str:
    changes = difference(judge.run["users"].get(judge.target), facts["users"].get(judge.target))
    return f"changed: {changes}" if changes and judge.target in facts["users"] else ""


def _is_parked(judge: Judge, facts: Facts, _: datetime) -> str:
    return "the key is active" if judge.key_status(facts) == "Active" else ""


def _is_retired(judge: Judge, facts: Facts, _: datetime) -> str:
    status = judge.key_status(facts)
    return f"the key is {status}" if status else ""


def _is_active(judge: Judge, facts: Facts, _: datetime) -> str:
    status = judge.key_status(facts)
    return f"the key is {status}" if status == "Inactive" else ""


def _is_left(judge: Judge, facts: Facts, _: datetime) -> str:
    changes = difference(judge.theirs["users"].get(judge.target), facts["users"].get(judge.target))
    return f"it changed {changes}" if changes else ""


def _is_announced(judge: Judge, facts: Facts, _: datetime) -> str:
    changes = difference(judge.theirs["users"], facts["users"])
    return f"users changed: {changes}" if changes else ""


def _anything(_judge: Judge, _facts: Facts, _now: datetime) -> str:
    return ""


Check = Callable[[Judge, Facts, datetime], str]
#: What each status of an outcome says about alice. That a failure was raised is judged apart.
OUTCOMES: Mapping[str, Check] = {
    "deleted": _is_gone,
    "skipped": _is_same,
    "unchanged": _is_same,
    "failed": _anything,
    "quarantined": lambda judge, facts, now: (
        "" if judge.target not in facts["users"] else _denied(judge, facts["users"][judge.target], facts, now)
    ),
    "browned-out": lambda judge, facts, now: _denied(judge, facts["users"][judge.target], facts, now),
    "released": _is_given_back,
    "deactivated": _is_parked,
    "activated": _is_active,
    "retired": _is_retired,
}
#: What a flow is to reach, once nothing disturbs it.
GOALS: Mapping[str, Check] = {
    "deleted": _is_deleted,
    "quarantined": _is_quarantined,
    "listened to": _is_listened_to,
    "browned out": _is_browned_out,
    "given back": _is_given_back,
    "restored": _is_restored,
    "announced": _is_announced,
    "parked": _is_parked,
    "key given back": _is_given_back,
    "left": _is_left,
    "retired": _is_retired,
    "anything": _anything,
}
