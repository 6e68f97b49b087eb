# SPDX-License-Identifier: Apache-2.0
"""Defects, each put into the package as it is loaded, and a trace that finds it: the explorer proves itself."""

from __future__ import annotations

import importlib.machinery
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """In the module ``file`` of the package, ``before`` becomes ``after``. ``trace``: one that finds it."""

    name: str
    file: str
    before: str
    after: str
    trace: str

    def install(self) -> None:
        """Change the module when this process loads it. Raises ValueError unless ``before`` is in it once."""
        path = _PACKAGE / self.file
        text = path.read_text()
        if text.count(self.before) != 1:
            raise ValueError(f"mutant {self.name}: {self.before!r} is not once in {self.file}")
        loader: Any = importlib.machinery.SourceFileLoader
        original = loader.get_code

        def get_code(own: Any, name: str) -> Any:
            if Path(own.path).resolve() != path:
                return original(own, name)
            return compile(text.replace(self.before, self.after), own.path, "exec", dont_inherit=True)

        loader.get_code = get_code


_GATES = "c7n_iamusers/safeguards/gate_readings.py"
_CALL = "c7n_iamusers/execution/journaled_call.py"
_IDENTITY = "c7n_iamusers/safeguards/user_identity.py"
_RETRIES = "c7n_iamusers/execution/retries.py"
_ARCHIVE = "c7n_iamusers/snapshots/user_records.py"
_DELETION = "c7n_iamusers/deletion/plan.py"
_DELETING = "c7n_iamusers/deletion/user_deletion.py"
_QUARANTINE = "c7n_iamusers/quarantine/plan.py"
_QUARANTINING = "c7n_iamusers/quarantine/user_quarantine.py"
_KEYS = "c7n_iamusers/key_retirement/user_keys.py"
_RESTORATION = "c7n_iamusers/restoration/plan.py"

MUTANTS = {
    each.name: each
    for each in (
        # gates and guards
        Mutant(
            "gates-asked-once",
            _GATES,
            "MAX_AGE, CALLS = 30.0, 10",
            "MAX_AGE, CALLS = 3000.0, 10",
            "quarantine: stopped@GetUser#2",
        ),
        Mutant(
            "exemptions-ignored",
            "c7n_iamusers/safeguards/reasons_to_spare.py",
            "    if rule is None:\n        return None\n    until",
            "    if rule or not rule:\n        return None\n    until",
            "quarantine: exempted@ListAccessKeys",
        ),
        Mutant(
            "a-namesake-is-taken",
            "c7n_iamusers/safeguards/reasons_to_spare.py",
            "    if evidence.unique_id == user.unique_id:\n",
            "    if True:\n",
            "quarantine: recreated@GetCallerIdentity",
        ),
        # orders
        Mutant(
            "deny-put-last",
            _DELETION,
            "(*deny.put, *removals,",
            "(*removals, *deny.put,",
            "composite-delete: ",
        ),
        Mutant(
            "deny-lifted-first",
            _DELETION,
            "(*deny.put, *removals, *_lifting(user, deny, refused), end)",
            "(*deny.put, *deny.lift, *removals, end)",
            "composite-delete: ",
        ),
        Mutant(
            "deny-lifted-under-no-boundary",
            _DELETION,
            "    if not deny.lift or bounded or",
            "    if deny.lift or",
            "composite-delete: policy-attached@DeleteUser",
        ),
        Mutant("no-snapshot", _DELETING, "        self.of.records.keep(found)\n", "", "restore: "),
        Mutant(
            "no-line-before",
            "c7n_iamusers/execution/journal.py",
            "            written += os.write(descriptor, content[written:])\n",
            "            written += os.write(descriptor, content[written:]) if phase != 'before' else len(content)\n",
            "quarantine: ",
        ),
        # who has the name
        Mutant(
            "identity-not-compared",
            _IDENTITY,
            '        if detail["UserId"] != user.unique_id:',
            "        if not detail:",
            "quarantine: recreated@PutUserPolicy",
        ),
        Mutant(
            "boundary-not-compared",
            _IDENTITY,
            "        if boundary_matters() and",
            "        if not detail and",
            "restore: boundary-swapped@GetUser#13",
        ),
        Mutant(
            "anothers-deny-stays",
            _IDENTITY,
            "        run.executor.apply(Plan(subject, (removal_of(call),)), applied, urgent=True)",
            "        str(removal_of(call))",
            "quarantine: recreated@PutUserPolicy",
        ),
        # what answers mean
        Mutant(
            "a-proxy-refuses",
            _RETRIES,
            "    return Verdict.REFUSED if named else Verdict.UNKNOWN",
            "    return Verdict.REFUSED if status else Verdict.UNKNOWN",
            "composite-delete: 403-html-applied@DeleteUser",
        ),
        Mutant(
            "a-lost-answer-is-a-refusal",
            _RETRIES,
            "    if isinstance(error, (*_NO_ANSWER, AnswerUnreadable)):\n        return Verdict.UNKNOWN",
            "    if isinstance(error, (*_NO_ANSWER, AnswerUnreadable)):\n        return Verdict.REFUSED",
            "quarantine: lost-applied@PutUserPolicy",
        ),
        Mutant(
            "nothing-is-lost",
            _CALL,
            "            self.lost, self._lost_code = True, error_code(error)\n",
            "            pass\n",
            "quarantine: lost-applied-on@PutUserPolicy",
        ),
        Mutant(
            "a-clock-orders-lines",
            "c7n_iamusers/execution/stopped_runs.py",
            "        is_known = last",
            "        its.sort(key=lambda line: str(line.get('time')))\n        last = its[-1]\n        is_known = last",
            "composite-delete: clock-back@DetachUserPolicy",
        ),
        # what is put on and given back
        Mutant(
            "credentials-stay-active",
            _QUARANTINE,
            "    off = [] if keep else list",
            "    off = [] if user else list",
            "quarantine: ",
        ),
        Mutant(
            "all-are-activated",
            "c7n_iamusers/lockout/lockout_state.py",
            "for kind, item in off if item[kind.identifier] in quarantine.deactivated]",
            "for kind, item in off]",
            "release: ",
        ),
        Mutant(
            "restored-under-another-boundary",
            "c7n_iamusers/lockout/deny_all.py",
            '    return aws_deny_all(user.arn.split(":")[1])',
            '    return "arn:aws:iam::aws:policy/PowerUserAccess"',
            "restore: ",
        ),
        Mutant(
            "no-boundary-given-back",
            _RESTORATION,
            "    return given, tuple(restore_boundary(was, own))\n",
            "    return given, ()\n",
            "restore: ",
        ),
        Mutant(
            "rights-not-compared",
            _RESTORATION,
            "        own = rights_change(self.whole, self.after, self.rights, self.own_groups, self.begun)",
            "        own = RightsChange()",
            "restore: group-widened@AssumeRole",
        ),
        Mutant(
            "the-inactive-comes-back-active",
            _RESTORATION,
            '    off = item.get("Status") == attachments.INACTIVE and',
            '    off = item.get("Status") == "Disabled" and',
            "restore: ",
        ),
        Mutant(
            "what-is-given-back-hides-what-was-removed",
            _ARCHIVE,
            "deletion_begun=lacking",
            "deletion_begun=False",
            "restore-undone: ",
        ),
        # what is told
        Mutant(
            "failures-not-raised",
            "c7n_iamusers/plugins/run_outputs.py",
            "    if not problems:\n        return\n",
            "    if problems or not problems:\n        return\n",
            "quarantine: denied-on@UpdateAccessKey",
        ),
        Mutant(
            "a-removed-journal-is-not-noticed",
            "c7n_iamusers/execution/locks.py",
            "    if found is None or not os.path.samestat(found, os.fstat(descriptor)):",
            "    if False:",
            "composite-delete: journal-removed@DeleteAccessKey",
        ),
        Mutant(
            "deleted-is-said-too-early",
            _CALL,
            "            return UNKNOWN if gone else DONE\n",
            "            return DONE\n",
            "composite-delete: renamed@DeleteUser, lost@DeleteUser",
        ),
        Mutant(
            "restored-over-a-removed-journal",
            "c7n_iamusers_cli/restore.py",
            "                journal.require_in_place()\n",
            "                pass\n",
            "restore: lost-applied-on@AddUserToGroup, journal-removed@GetUser#16",
        ),
        # who hears of it
        Mutant(
            "an-untold-owner-is-no-failure",
            "c7n_iamusers/plugins/notify_owners.py",
            "        self._due_users = left\n        if failed:\n",
            "        self._due_users = left\n        if failed and not failed:\n",
            "quarantine: refused:AccessDenied@SendMessage",
        ),
        Mutant(
            "no-answer-counts-as-sent",
            "c7n_iamusers/plugins/recorded_notify.py",
            "            refused = not isinstance(error, KeyError) and verdict_on(error) is Verdict.REFUSED\n",
            "            refused = not isinstance(error, KeyError) and verdict_on(error) is Verdict.REFUSED\n"
            "            if not refused:\n                return 'unknown'\n",
            "composite-delete: down-on@SendMessage",
        ),
        Mutant(
            "what-is-owed-is-forgotten",
            "c7n_iamusers/plugins/run_news.py",
            "    late = owed(found, notices, step.policy, now)",
            "    late = owed([], notices, step.policy, now)",
            "composite-delete: killed@SendMessage",
        ),
        Mutant(
            "a-record-says-more-than-its-message",
            "c7n_iamusers/plugins/news.py",
            "if status == SKIPPED and code else status\n    if made",
            "if status == SKIPPED and code else DELETED\n    if made",
            "quarantine: ",
        ),
        # access keys
        Mutant(
            "a-key-is-deleted-unasked",
            _KEYS,
            "return _used_since(turn, parking)",
            "return None",
            "retire: key-use-shown@ListUsers",
        ),
        Mutant(
            "a-key-that-was-given-back-is-parked-again",
            _KEYS,
            "if reason := self._not_again(turn) or self._not_selected(turn)",
            "if reason := self._not_selected(turn)",
            "park-again: ",
        ),
        Mutant(
            "the-record-is-not-of-the-key",
            "c7n_iamusers/key_retirement/key_history.py",
            "    return Plan(user.key(key_id),",
            "    return Plan(user,",
            "give-back: ",
        ),
        # Identity Center
        Mutant(
            "undo-takes-what-others-use",
            "c7n_iamusers/identity_center/undo/deletion_rechecks.py",
            "    def _joined(self, group: model.KnownGroup, more: Iterable[str] = ()) -> str:\n",
            "    def _joined(self, group: model.KnownGroup, more: Iterable[str] = ()) -> str:\n        return ''\n",
            "undo: member-added@DeleteAccountAssignment",
        ),
    )
}
