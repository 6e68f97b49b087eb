# SPDX-License-Identifier: Apache-2.0
"""Reads what earlier runs made, by present ids.

An undo recreates what a run removed, under new ids. Its journal has these ids, so records with the former ids still
lead to the objects.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from c7n_iamusers.derivation.requested_permission_set import PermissionSet
from c7n_iamusers.execution.stores import Store, read_all
from c7n_iamusers.identity_center import model, object_records
from c7n_iamusers.identity_center.applying import served_users
from c7n_iamusers.identity_center.applying.assignment_history import (
    AssignmentHistory,
    UndoStep,
    moment_of,
)
from c7n_iamusers.identity_center.applying.killed_run import parsed
from c7n_iamusers.identity_center.applying.run_records import (
    JOURNAL,
    RUNS,
    lines_of_journal,
    read_results,
    with_journal,
)
from c7n_iamusers.identity_center.planning.changeset import set_key
from c7n_iamusers.identity_center.planning.replacements import RunHistory, identities
from c7n_iamusers.identity_center.requests.intents import permission_set_from
from c7n_iamusers.text import validators
from c7n_iamusers.text.wording import folded

#: The journal of an undo, beside the result of the run.
UNDO_JOURNAL = "undo-journal.jsonl"
#: What an undo did, in the same place. One that had nothing to do has no journal.
UNDONE = "undone.json"
#: The key of the ids of the run's memberships that an undo left.
MEMBERSHIPS_LEFT = "memberships-left"
_UNDONE_DATA = validators.record(
    {MEMBERSHIPS_LEFT: validators.listing(validators.text(2048), 10_000_000)}, others=True
)


@dataclass
class Successors:
    """The objects that undos created. ``groups``, ``sets``: former id or ARN -> the present or next one.

    ``memberships``: the same for their ids; empty if the restoring call had no answer. ``joined``: the ids of all
    restored memberships. ``steps``: what undos did to assignments, in the order of time, by present ids. ``undone``:
    the times of the undone runs. ``journals``: the names of the undos' journals. ``left``: time of a run whose undo has
    ended -> the ids of its memberships that the undo left. ``ended``: the ids of memberships that undos have ended.
    """

    groups: dict[str, str] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    memberships: dict[str, str] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    steps: list[UndoStep] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)
    journals: list[str] = field(default_factory=list)
    left: dict[str, frozenset[str]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def add(
        self, removed: Iterable[object_records.Removed], created: Iterable[object_records.Created]
    ) -> None:
        """What an undo ``created`` for a run that ``removed`` objects."""
        removed, created = list(removed), list(created)
        made = [each for each in created if each.certain]
        groups = {
            each.parameters["DisplayName"]: each.identifier for each in made if each.kind == model.GROUP
        }
        sets = {
            each.parameters["Name"]: each.identifier for each in made if each.kind == model.PERMISSION_SET
        }
        for each in removed:
            record = each.record
            if each.kind == model.GROUP and (new := groups.get(record["group"])):
                self.groups[record["group-id"]] = new
            elif each.kind == model.PERMISSION_SET and (new := sets.get(record["settings"]["name"])):
                self.sets[record["permission-set-arn"]] = new
        memberships = [membership for membership in created if membership.kind == model.MEMBERSHIP]
        joined = {membership.membership: membership.identifier for membership in memberships}
        for removal in removed:
            if removal.kind == model.MEMBERSHIP:
                record = removal.record
                key = self.membership((record["group-id"], record["user-id"]))
                self.memberships |= {record["id"]: joined[key]} if key in joined else {}
        self.joined |= {identifier for identifier in joined.values() if identifier}

    def add_step(self, line: Mapping[str, Any], time: str) -> None:
        """The step in the next journal line of an undo of the run of ``time``, for an assignment or a membership."""
        if line.get("operation") == "DeleteGroupMembership" and line.get("result") in ("done", "gone"):
            self.ended.add(str((line.get("parameters") or {}).get("MembershipId")))
        ended = line.get("operation") == "DeleteAccountAssignment" and line.get("result") in ("done", "gone")
        if ended or (line.get("operation") == "CreateAccountAssignment" and line.get("result") == "done"):
            account, arn, group_id = (
                str((line.get("parameters") or {}).get(name))
                for name in ("TargetId", "PermissionSetArn", "PrincipalId")
            )
            assigned = group_id, model.Assignment(account, arn)
            self.steps.append(UndoStep(moment_of(str(line.get("time"))), assigned, "" if ended else time))

    def taken_back(self, time: str, made: Iterable[str]) -> set[str]:
        """The memberships ``made`` by the undone run of ``time`` that ended with the undo or before, by present ids.

        Only its journal says how far a killed undo came.
        """
        made = {self.membership_id(each) for each in made} - {""}
        left = self.left.get(time)
        gone = set() if left is None else made - {self.membership_id(each) for each in left}
        return gone | (made & self.ended)

    def membership(self, key: object_records.MembershipKey) -> object_records.MembershipKey:
        """The same membership by present ids."""
        return _latest(self.groups, key[0]), key[1]

    def membership_id(self, identifier: str) -> str:
        """The membership's present id; empty if unknown."""
        return _latest(self.memberships, identifier)

    def assignment(self, group_id: str, given: model.Assignment) -> tuple[str, model.Assignment]:
        """The same assignment by present ids."""
        arn = _latest(self.sets, given.permission_set_arn)
        return _latest(self.groups, group_id), replace(given, permission_set_arn=arn)

    def of(self, created: object_records.Created) -> object_records.Created:
        """What a run created, by present ids."""
        given, identifier = created.parameters, created.identifier
        if created.kind == model.MEMBERSHIP:
            identifier = self.membership_id(identifier) or identifier
            given = {**given, "GroupId": self.membership(created.membership)[0]}
        elif created.kind == model.ASSIGNMENT:
            group_id, assignment = self.assignment(*created.assignment)
            given = {**given, "PrincipalId": group_id, "PermissionSetArn": assignment.permission_set_arn}
        elif created.kind == model.GROUP:
            identifier = _latest(self.groups, identifier)
        elif created.kind == model.PERMISSION_SET:
            identifier = _latest(self.sets, identifier)
        return replace(created, identifier=identifier, parameters=given)

    def of_result(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The result of a run, by present ids."""
        groups = {
            _latest(self.groups, group_id): [[account, _latest(self.sets, arn)] for account, arn in given]
            for group_id, given in result.get("groups", {}).items()
        }
        members = {
            _latest(self.groups, group_id): users for group_id, users in result.get("members", {}).items()
        }
        rows = [
            {
                **row,
                "group-id": _latest(self.groups, row["group-id"]),
                "id": self.membership_id(row.get("id", "")),
            }
            for row in result.get("memberships", ())
        ]
        created = [self.of(object_records.Created.from_data(each)).as_data() for each in result["created"]]
        return {**result, "created": created, "groups": groups, "members": members, "memberships": rows}


def _latest(successors: Mapping[str, str], identifier: str) -> str:
    seen = {identifier}
    while (new := successors.get(identifier, identifier)) not in seen:
        identifier = new
        seen.add(new)
    return identifier


def read_successors(output: Store) -> Successors:
    """What undos of runs in ``output`` recreated. Raises IdentityCenterError and OSError."""
    undone, found = with_journal(output, UNDO_JOURNAL), Successors()
    names = {f"{RUNS}/{time}/{UNDONE}": time for time in with_journal(output, UNDONE)}
    found.undone |= {*names.values()}
    for name, content in read_all(output, list(names)):
        found.left[names[name]] = memberships_left(content or b"", output.place(name))
    for time, result in read_results(output) if undone else ():
        if time in undone:
            name = f"{RUNS}/{time}/{UNDO_JOURNAL}"
            removed = map(object_records.Removed.from_data, result.get("removed", ()))
            found.add(removed, object_records.created_by(lines_of_journal(output, name)))
            found.journals.append(name)
            found.undone.add(time)
            for line in lines_of_journal(output, name):
                found.add_step(line, time)
    by_ids_of_now = (replace(step, assigned=found.assignment(*step.assigned)) for step in found.steps)
    found.steps = sorted(by_ids_of_now, key=attrgetter("moment"))
    return found


def memberships_left(content: bytes, place: str) -> frozenset[str]:
    """The ids of the memberships that an undo left, by the content of UNDONE. Raises IdentityCenterError."""
    return frozenset(parsed(content, _UNDONE_DATA, place, "what an undo did")[MEMBERSHIPS_LEFT])


def recorded_instances(output: Store) -> Iterator[str]:
    """The ARN of the instance of each finished run, then what the calls of each killed one name: ARN or identity store.

    A journal without calls names none. Raises IdentityCenterError and OSError.
    """
    killed = with_journal(output)
    for time, result in read_results(output):
        killed -= {time, *result.get("resumes", ())}
        yield str(result.get("instance", ""))
    for time in sorted(killed):
        for line in lines_of_journal(output, f"{RUNS}/{time}/{JOURNAL}"):
            given = line.get("parameters") or {}
            yield from (str(given[name]) for name in ("InstanceArn", "IdentityStoreId") if name in given)


def read_history(output: Store, instance: model.Instance, since: str = "") -> RunHistory:
    """What runs in ``output`` made; memberships only of runs since the time ``since``, and what has ended since.

    If IAM users had one ARN in turn, the last one counts. Only runs with the same instance count. Raises
    IdentityCenterError and OSError.
    """
    found, killed = _Found(read_successors(output), since), with_journal(output)
    for time, result in read_results(output):
        killed -= {time, *result.get("resumes", ())}
        if result.get("instance") == instance.arn:
            found.add_finished(time, result)
    for time in sorted(killed):
        created = object_records.created_by(lines_of_journal(output, f"{RUNS}/{time}/{JOURNAL}"))
        found.add_killed(time, created, served_users.read(output, f"{RUNS}/{time}", created))
    return found.history()


class _Users:
    """The IAM users of memberships, and whose they are, by present ids. See ``RunHistory``."""

    def __init__(self, successors: Successors) -> None:
        self._successors, self.memberships = successors, _memberships()
        self._served: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Rows of a result's ``memberships``."""
        for row in rows:
            key = self._successors.membership(object_records.membership_of(row))
            identifier = self._successors.membership_id(row.get("id", ""))
            self.memberships[key][identifier].update(row["users"])
            self._served[folded(row["username"])][row["user-id"]] |= identities(row["users"])

    def people(self) -> dict[str, dict[str, frozenset[str]]]:
        """``RunHistory.served``."""
        return {
            username: {user_id: frozenset(users) for user_id, users in found.items()}
            for username, found in self._served.items()
        }


class _Found:
    """What runs made, added one after the other, by present ids. ``since``: see ``read_history``."""

    def __init__(self, successors: Successors, since: str) -> None:
        self._successors, self._since = successors, since
        self._users = _Users(successors)
        self._assignments, self._steps = AssignmentHistory(since), deque(successors.steps)
        self._joined = set(successors.joined)
        self._sets = dict[str, list[PermissionSet]]()
        self._taken_back = set[str]()
        #: Rows of memberships that undone runs only found, and what these runs assigned to the groups.
        self._met: list[tuple[Mapping[str, Any], list[object_records.AssignmentKey]]] = []

    def add_finished(self, time: str, result: Mapping[str, Any]) -> None:
        """The result of the run of ``time``."""
        successors = self._successors
        removed = set(_removed(map(object_records.Removed.from_data, result.get("removed", ())), successors))
        requested_assignments = {
            successors.assignment(group_id, model.Assignment(*each))
            for group_id, requested in result.get("assignments", {}).items()
            for each in requested
        }
        created = list(map(object_records.Created.from_data, result["created"]))
        self._add(created, time, removed, requested_assignments)
        # An undo keeps what somebody rests on, as a later run found, undone or not.
        if time in successors.undone and not self._since:
            self._add_undone(time, result["memberships"], created)
        elif time >= self._since:
            self._users.add(*result["memberships"])
        failed = {failure["change"] for failure in result.get("failures", ())}
        for name, requested in result.get("permission-sets", {}).items():
            earlier = self._sets.get(name, []) if time in successors.undone or set_key(name) in failed else []
            self._sets[name] = [permission_set_from(requested), *earlier]

    def add_killed(
        self, time: str, created: Iterable[object_records.Created], rows: Iterable[served_users.Row]
    ) -> None:
        """What the run of ``time`` created, and the IAM users of its memberships."""
        self._add(created, time)
        if time >= self._since:
            self._users.add(*rows)

    def history(self) -> RunHistory:
        """All that was added."""
        self._add_steps()
        assignments, gone = self._assignments, self._assignments.gone
        met = _Users(self._successors)
        for row, given in self._met:
            (met if assignments.made.isdisjoint(given) else self._users).add(row)
        return RunHistory(
            dict(self._users.memberships),
            frozenset(assignments.known),
            self._users.people(),
            frozenset(assignments.made),
            frozenset(self._joined - {""}),
            frozenset(assigned for assigned, by_undo in gone.items() if by_undo),
            frozenset(assigned for assigned, by_undo in gone.items() if not by_undo),
            self._sets,
            frozenset(self._taken_back),
            dict(met.memberships),
            met.people(),
        )

    def _add_undone(
        self, time: str, rows: Iterable[Mapping[str, Any]], created: Collection[object_records.Created]
    ) -> None:
        """The memberships of the undone run of ``time``. Those that it only found are as before the run, unless what it
        assigned to their group stays.
        """
        made, ids = set[object_records.MembershipKey](), list[str]()
        given = defaultdict[str, list[object_records.AssignmentKey]](list)
        for each in created:
            if each.kind == model.MEMBERSHIP:
                made.add(each.membership)
                ids.append(each.identifier)
            elif each.kind == model.ASSIGNMENT:
                given[each.assignment[0]].append(self._successors.assignment(*each.assignment))
        self._taken_back |= self._successors.taken_back(time, ids)
        self._users.add(*(row for row in rows if object_records.membership_of(row) in made))
        self._met += [
            (row, given[row["group-id"]]) for row in rows if object_records.membership_of(row) not in made
        ]

    def _add_steps(self, before: str = "") -> None:
        """What undos did to assignments before that moment, or all the rest."""
        while self._steps and (not before or self._steps[0].moment < before):
            self._assignments.add_step(self._steps.popleft())

    def _add(
        self,
        created: Iterable[object_records.Created],
        time: str,
        removed: Collection[object_records.AssignmentKey] = (),
        requested: Collection[object_records.AssignmentKey] = (),
    ) -> None:
        """What the run of ``time`` created, and the assignments that it removed and requested."""
        self._add_steps(moment_of(time))
        found = set[object_records.AssignmentKey]()
        for each in created:
            if each.kind == model.ASSIGNMENT:
                found.add(self._successors.assignment(*each.assignment))
            elif each.kind == model.MEMBERSHIP and each.certain:
                self._joined.add(each.identifier)
        self._assignments.add_run(time, found, removed, requested)


def read_served(places: Iterable[Store], instance: model.Instance) -> RunHistory:
    """For which IAM users runs in all ``places`` made memberships, and for which people. Raises as ``read_history``."""
    memberships, joined, taken_back = _memberships(), frozenset[str](), frozenset[str]()
    served: defaultdict[str, defaultdict[str, frozenset[str]]] = defaultdict(lambda: defaultdict(frozenset))
    for each in (read_history(place, instance) for place in places):
        joined |= each.joined
        taken_back |= each.taken_back
        for key, found in each.memberships.items():
            for identifier, users in found.items():
                memberships[key][identifier].update(users)
        for username, people in each.served.items():
            for user_id, given in people.items():
                served[username][user_id] |= given
    people_of = {username: dict(people) for username, people in served.items()}
    return RunHistory(memberships, served=people_of, joined=joined, taken_back=taken_back)


def _memberships() -> defaultdict[object_records.MembershipKey, defaultdict[str, dict[str, str]]]:
    return defaultdict(lambda: defaultdict(dict))


def created_so_far(output: Store, instance: model.Instance) -> Iterator[object_records.Created]:
    """The objects that runs in ``output``, even killed ones, created in the instance, by present ids.

    Raises IdentityCenterError and OSError.
    """
    own = {"InstanceArn": instance.arn, "IdentityStoreId": instance.identity_store_id}
    successors, killed = read_successors(output), with_journal(output)
    for time, result in read_results(output):
        killed -= {time, *result.get("resumes", ())}
        if result.get("instance") == instance.arn:
            yield from map(successors.of, map(object_records.Created.from_data, result["created"]))
    for time in sorted(killed):
        name = f"{RUNS}/{time}/{JOURNAL}"
        given = (line.get("parameters") or {} for line in lines_of_journal(output, name))
        if all(each.get(key, own[key]) == own[key] for each in given for key in own):
            yield from map(successors.of, object_records.created_by(lines_of_journal(output, name)))


def _removed(
    removed: Iterable[object_records.Removed], successors: Successors
) -> Iterator[object_records.AssignmentKey]:
    for each in removed:
        if each.kind == model.ASSIGNMENT:
            given = model.Assignment(each.record["account"], each.record["permission-set-arn"])
            yield successors.assignment(each.record["group-id"], given)
