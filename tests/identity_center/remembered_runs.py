# SPDX-License-Identifier: Apache-2.0
"""What a run over the same world has done before, done again without a call.

Most tests begin with the same runs over the same intents. What a run does depends on the local organization, on the
files of its output and on its options. So the first run of a test process over a world is remembered with all that it
left, and the next ones leave that: the organization draws the same ids in each test. A test that patches anything, or
plans a fault, has run what follows. ``make soak`` runs all, and so does ``make mutants`` while it learns.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from moto.iam.models import AWSManagedPolicy, IAMBackend, Role, iam_backends
from moto.moto_api._internal import mock_random

from aws_local_org import LocalOrg, organization
from aws_local_org.call_log import CallRecord
from aws_local_org.iam.policies import _catalogue
from aws_local_org.identity_center import injected_faults, state
from c7n_iamusers.identity_center.requests.intents import INTENTS_FILE

#: Where one of these is in the environment, all is run.
WHOLE = {"SOAK_PAIRS", "LEARNS_LINES"}
#: Fixtures that see what a run says otherwise.
_OBSERVERS = {"caplog", "capsys", "capfd"}
#: What the fixtures of every test patch.
_PATCHED = {"_LONGEST_IDLE", "_SHORTEST_POLL", "_SLOW", "__init__", "call", "delays", "send", "sleep"}
#: Of all files, in bytes: those of thousands of users are hardly given twice.
_LARGE = 500_000
#: Of roles that a permission set has in an account; all others are the organization's own, or a test's.
_OF_SETS = "AWSReservedSSO_"
#: How often anything was patched in this process.
_PATCHES = [0]


def _counted(change: Any) -> Any:
    @functools.wraps(change)
    def changed(*given: Any, **options: Any) -> Any:
        _PATCHES[0] += 1
        return change(*given, **options)

    return changed


for _name in ("setattr", "delattr", "setitem", "delitem", "chdir"):
    setattr(pytest.MonkeyPatch, _name, _counted(getattr(pytest.MonkeyPatch, _name)))

#: Of a place: path -> mode and content, None for a directory.
Files = dict[str, tuple[int, bytes | None]]


@dataclass(frozen=True)
class _World:
    """What a run left. ``place``: the directory above its files, which it may have named."""

    organization: bytes
    draws: Any
    files: tuple[Files, ...]
    calls: list[CallRecord]
    said: list[str]
    failures: list[str]
    place: str


_REMEMBERED: dict[Hashable, _World] = {}
#: The organization when the first test began.
_FIRST: list[bytes] = []


@dataclass
class RememberedRuns:
    """The runs of a test. ``places``: the directories that a run writes to, the output first."""

    org: LocalOrg
    places: Sequence[Path]
    enabled: bool
    patches: int = 0
    #: Whether the last run was done before.
    replayed: bool = False

    @classmethod
    def of(
        cls, org: LocalOrg, places: Sequence[Path], monkeypatch: pytest.MonkeyPatch, fixtures: Sequence[str]
    ) -> RememberedRuns:
        """Those of the test that begins now, with ``fixtures``."""
        whole = bool(WHOLE & os.environ.keys())
        special = _OBSERVERS & {*fixtures} or {name for _, name, _ in monkeypatch._setattr} != _PATCHED
        if not whole:
            mock_random.seed(0)
            _FIRST[:] = _FIRST or [_organization()]
            _restore(_FIRST[0])
        return cls(org, places, not whole and not special, _PATCHES[0])

    def accept_patches(self) -> None:
        """What was patched up to now is the same each time, or part of what runs depend on."""
        self.patches = _PATCHES[0]

    def run(self, what: Hashable, said: list[str], run: Callable[[], list[str]]) -> list[str]:
        """``run()``, or what it was before. ``what``: all that it depends on besides the world."""
        self.replayed = False
        faults = any(injected_faults._failures.values()) or any(injected_faults._refusals.values())
        self.enabled = self.enabled and not faults and self.patches == _PATCHES[0]
        if not self.enabled or self._takes_time():
            return run()
        files = tuple(map(_read, self.places))
        if sum(len(text or b"") for each in files for _, text in each.values()) > _LARGE:
            return run()
        settings, place = repr(self.org.settings), str(self.places[0].parent)
        key = (what, settings, tuple(map(_without_times, files)), _content(_held()))
        world = _REMEMBERED.get(key)
        if world is None:
            failures = run()
            left = tuple(map(_read, self.places))
            # unless a file names the place where it lies, which is another one for each test
            if not any(place.encode() in (text or b"") for each in left for _, text in each.values()):
                text, draws, calls = _organization(), mock_random.getstate(), self.org.calls
                _REMEMBERED[key] = _World(text, draws, left, calls, [*said], [*failures], place)
            return failures
        self.replayed = True
        _restore(world.organization)
        mock_random.setstate(world.draws)
        for directory, found, before in zip(self.places, world.files, files, strict=True):
            _write(directory, found, before)
        self.org.clear_calls()
        for each in world.calls:
            self.org.record(each)
        said[:] = [each.replace(world.place, place) for each in world.said]
        return [each.replace(world.place, place) if world.place in each else each for each in world.failures]

    def _takes_time(self) -> bool:
        """Whether what a run finds depends on when it looks."""
        requests = (each for instance in state.instances for each in instance.operations.values())
        under_way = any(each.status == "IN_PROGRESS" and each.due > state.now() for each in requests)
        return under_way or self.org.settings.assignment_seconds > 0


# Files


#: Of a lock's file: who has it, and for which output.
_LOCK = ".lock"


def _read(place: Path) -> Files:
    """A file of a lock is read as an empty one."""
    found: Files = {}
    for directory, inner, names in os.walk(place):
        for name in (*inner, *names):
            path = os.path.join(directory, name)
            content = None if name in inner else b"" if name == _LOCK else Path(path).read_bytes()
            found[os.path.relpath(path, place)] = (os.lstat(path).st_mode & 0o7777, content)
    return dict(sorted(found.items()))


def _write(place: Path, files: Files, before: Files) -> None:
    """``before``: what is there."""
    for name in before.keys() - files.keys():
        (place / name).unlink()
    for name, (mode, content) in files.items():
        path = place / name
        if before.get(name) == (mode, content):
            continue
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        path.chmod(mode)


def _without_times(files: Files) -> Hashable:
    """Intents say when they were written, which is now for most."""
    return tuple(
        (name, mode, _intents(content) if content and name.endswith(INTENTS_FILE) else content)
        for name, (mode, content) in files.items()
    )


def _intents(content: bytes) -> Hashable:
    try:
        data = json.loads(content)
        age = datetime.now(timezone.utc) - datetime.fromisoformat(data["time"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return content
    return repr({**data, "time": ""}) if timedelta(0) <= age < timedelta(hours=1) else content


# The local organization


def _held() -> tuple[Any, ...]:
    """Identity Center, its accounts, and the IAM of each."""
    iam = {}
    for account, by_partition in iam_backends.items():
        for partition, backend in by_partition.items():
            held = {key: each for key, each in vars(backend).items() if not key.endswith("managed_policies")}
            known = _catalogue(partition)
            own = {arn: each for arn, each in backend.managed_policies.items() if arn not in known}
            iam[account, partition] = (held, own)
    members = organization._backend.accounts if organization._backend else []
    administrators = sorted(organization.delegated_administrators("sso.amazonaws.com"))
    return state.instances, iam, [(each.id, each.status) for each in members], administrators


def _content(value: Any) -> Hashable:
    """All that ``value`` holds, but for times, functions, and the ids of roles, which no call draws again."""
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return _content_of_many(value)
    if value is None or isinstance(value, (str, int, float, bytes)):
        return value
    if isinstance(value, IAMBackend):
        return str(value.account_id)
    if isinstance(value, AWSManagedPolicy):
        return str(value.arn)
    if isinstance(value, datetime) or callable(value) or not hasattr(value, "__dict__"):
        return type(value).__name__
    without = {"id"} if isinstance(value, Role) else set()
    return type(value).__name__, _content(
        {name: each for name, each in vars(value).items() if name not in without}
    )


def _content_of_many(values: Any) -> Hashable:
    if isinstance(values, dict):
        # the key of a role is its id
        keyed = (("" if isinstance(each, Role) else key, each) for key, each in values.items())
        return tuple((_content(key), _content(each)) for key, each in keyed)
    made = frozenset if isinstance(values, (set, frozenset)) else tuple
    return made(map(_content, values))


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, IAMBackend):
            return _backend, (value.account_id, value.partition)
        if isinstance(value, AWSManagedPolicy):
            arn = str(value.arn)
            partition = arn.split(":")[1]
            if value is _catalogue(partition).get(arn):
                return _aws_policy, (partition, arn)
        return NotImplemented


def _backend(account: str, partition: str) -> Any:
    return iam_backends[account][partition]


def _aws_policy(partition: str, arn: str) -> Any:
    return _catalogue(partition)[arn]


def _organization() -> bytes:
    text = io.BytesIO()
    _Pickler(text, pickle.HIGHEST_PROTOCOL).dump(_held()[:2])
    return text.getvalue()


def _restore(text: bytes) -> None:
    """The organization's own roles stay, whose ids are in credentials."""
    instances, iam = pickle.loads(text)
    if len(instances) == len(state.instances):
        # those whom a test asked for before
        for known, found in zip(state.instances, instances, strict=True):
            vars(known.store).update(vars(found.store))
            vars(known).update({**vars(found), "store": known.store})
    else:
        state.instances[:] = instances
    for (account, partition), (held, own) in iam.items():
        backend = iam_backends[account][partition]
        own_names = {each.name for each in backend.roles.values() if not each.name.startswith(_OF_SETS)}
        roles = {each.id: each for each in backend.roles.values() if each.name in own_names}
        roles |= {each.id: each for each in held["roles"].values() if each.name not in own_names}
        vars(backend).update({**held, "roles": roles})
        backend.managed_policies = {**_catalogue(partition), **own}
