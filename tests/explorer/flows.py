# SPDX-License-Identifier: Apache-2.0
"""What is run: a row a flow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from c7n.config import Config
from c7n.exceptions import PolicyExecutionError
from c7n.policy import PolicyCollection
from c7n.resources import load_resources
from c7n.utils import reset_session_cache
from click import ClickException

from c7n_iamusers.entry import register
from c7n_iamusers.exceptions import IamUsersError
from c7n_iamusers.execution.retries import Backoff
from c7n_iamusers.identity_center.aws.instance import Center, connect
from c7n_iamusers_cli.restore import restore
from tests.desired import intents
from tests.explorer.actors import ACTORS
from tests.explorer.alone import CLOCK, REAL_SLEEP, REAL_TIME
from tests.explorer.faults import exchange_of
from tests.explorer.wire import Call, Killed
from tests.explorer.world import ACCOUNT, EXEMPTIONS, KEY, NOTICES, OTHER, OUTPUT, OWNER, QUEUE, World
from tests.identity_center.fleet_rehearsal import FleetRehearsal
from tests.policies import WAIVED

MANAGEMENT = QUEUE.split("/")[3]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
Command = Callable[[World, Path], None]


@dataclass(frozen=True)
class Flow:
    """``command``: what is run, and run again. ``prepare``: what happens before, undisturbed, with the same output.

    ``policy``: the directory of its outcomes. ``goal``: what becomes of alice, see judge.GOALS. ``gives_back``: it may
    give her back what she had before ``prepare``. ``journal``: the name of its journal.
    ``outcomes``: it writes an outcome of each user. ``center``: it is about Identity Center. ``form``: of the Deny-all
    that alice has room for. ``key``: the one of her access keys that it is about, which has her outcome then.
    """

    name: str
    command: Command
    policy: str
    goal: str
    prepare: tuple[Command, ...] = ()
    gives_back: bool = False
    journal: str = "journal.jsonl"
    outcomes: bool = True
    center: bool = False
    form: str = "inline"
    key: str = ""

    @property
    def takes(self) -> bool:
        """Whether it takes something from alice, so that gates keep it from that."""
        return self.goal in ("deleted", "quarantined", "listened to", "browned out", "parked", "retired")


#: Tells the owner of the account what became of its users, as the policies in policies/ do.
INFORM: Mapping[str, Any] = {
    "type": "notify-owners",
    "notices": str(NOTICES),
    "step": "inform",
    "template": "iam-users-deleted.html",
    "to": [OWNER],
    "transport": {"type": "sqs", "queue": QUEUE},
    "assume_role": False,
}


SPARING = {"type": "unnecessary", "exempt-from": str(EXEMPTIONS)}
_HAVING_ACCESS = {
    "type": "identity-center",
    "state": "provisioned",
    "role": f"arn:aws:iam::{MANAGEMENT}:role/IdentityCenterProvisioner",
    "region": "us-east-1",
    "user": {"username": "tag:Email", "email": "tag:Email"},
}


def _users(action: Mapping[str, Any], name: str) -> Command:
    """A policy over all users but the exempt, with the place of STOP."""

    def command(_world: World, output: Path) -> None:
        taking = action["type"] != "release"
        given = {**WAIVED, "notices": str(NOTICES), **action} if taking else dict(action)
        run_policy({"name": name, "filters": [SPARING], "actions": [given, INFORM]}, output)

    return command


def _announce(_world: World, output: Path) -> None:
    """The owner hears that all users but the exempt are to be deleted."""
    given = {**INFORM, "step": "announce", "days": 30, "template": "iam-users-flagged.html"}
    run_policy({"name": "announce", "filters": [SPARING], "actions": [given]}, output)


def run_policy(data: Mapping[str, Any], output: Path) -> None:
    """Run a policy on the account's users as custodian does. Raises what it raises."""
    load_resources(("aws.iam-user", "aws.iam-access-key"))
    register()
    reset_session_cache()
    config = Config.empty(
        account_id=ACCOUNT, output_dir=str(output), region="us-east-1", assume_role=ROLE, cache_period=0
    )
    whole = {"resource": "aws.iam-user", "source": "authorization-details", **json.loads(json.dumps(data))}
    (found,) = PolicyCollection.from_data({"policies": [whole]}, config)
    found.validate()
    found.run()


def _keys(action: Mapping[str, Any], name: str, **chosen: Any) -> Command:
    """A policy over access keys. ``chosen``: what the filter asks of them; that one key of alice, if nothing."""
    filters = [{**SPARING, **chosen}] if chosen else [{"AccessKeyId": KEY}]

    def command(world: World, output: Path) -> None:
        world.org.backend("iam", ACCOUNT).report = None  # a run is some hours after the one before it
        asked = {"resource": "aws.iam-access-key", "source": "access-keys"}
        run_policy({**asked, "name": name, "filters": filters, "actions": [action]}, output)

    return command


def _later(world: World, _output: Path) -> None:
    """AWS makes a new credential report after some hours. The clock of the flow begins after all that was done here."""
    world.org.backend("iam", ACCOUNT).report = None
    REAL_SLEEP(max(0.0, CLOCK.wall() - REAL_TIME()) + 1)


def _restore(*options: str) -> Command:
    """``c7n-iamusers restore``. Raises ClickException."""

    def command(_world: World, output: Path) -> None:
        given = ["--role", ROLE, "--yes", "--accept-aws-changes", *options]
        if output != OUTPUT:
            output.mkdir(exist_ok=True)
            given += ["--journal", str(output / "restore-journal.jsonl")]
        try:
            restore.main([str(OUTPUT), *given], standalone_mode=False)
        except IamUsersError as error:  # as c7n-iamusers itself does
            raise ClickException(str(error)) from error

    return command


def _provision(world: World, output: Path) -> None:
    """A run over the intents of alice and bob. Raises PolicyExecutionError."""
    fleet = _fleet(world, output)
    fleet.leave(intents(ACCOUNT, "alice", "bob"), intents(OTHER, "alice"))
    _require(fleet.run)


def _provision_and_tell(world: World, output: Path) -> None:
    """The same, and then the owner hears who has access, as by policies/provision-intents.yml."""
    _provision(world, output)
    run_policy({"name": "moved", "filters": [SPARING, _HAVING_ACCESS], "actions": [INFORM]}, Path("moved"))


def _prune(world: World, output: Path) -> None:
    """A run over the intents of alice alone, which removes what was bob's."""
    fleet = _fleet(world, output)
    fleet.forget()
    fleet.leave(intents(ACCOUNT, "alice"), intents(OTHER, "alice"))
    _require(lambda: fleet.run(prune=True, lock_out=True))


def _undo(world: World, output: Path) -> None:
    """Undo the first run."""
    fleet = _fleet(world, output)
    if output == OUTPUT:
        _require(lambda: fleet.undo(fleet.results()[0]) if fleet.results() else ["no result of a run"])


class _Fleet(FleetRehearsal):
    """With the delays between retries that users have."""

    def center(self, _region: str = "us-east-1") -> Center:
        return connect(self.org.session(), "us-east-1", Backoff(), self.per_second)


def _fleet(world: World, output: Path) -> _Fleet:
    return _Fleet(world.org, output.resolve(), 20.0)


def _require(run: Callable[[], list[str]]) -> None:
    """Raises PolicyExecutionError in place of what the command says and ends with."""
    try:
        failures = run()
    except IamUsersError as error:
        failures = [str(error)]
    if failures:
        raise PolicyExecutionError("; ".join(failures))


def _disturbed(command: Command, killed: str = "no call", **meets: str) -> Command:
    """``command``, which is killed at a call. ``meets``: operation -> the fault at each call of it."""
    exchanges = {operation: exchange_of(what, lambda send: send()) for operation, what in meets.items()}

    def run(world: World, output: Path) -> None:
        world.wire.kill_at(killed)
        world.wire.exchange = lambda call: exchanges.get(call.operation)
        with suppress(Killed, PolicyExecutionError):
            command(world, output)
        world.wire.exchange = lambda _call: None
        world.wire.kill_at("")

    return run


def _meanwhile(command: Command, place: str, actor: str) -> Command:
    """``command``, and what another does right before the call at ``place``."""

    def run(world: World, output: Path) -> None:
        left = [ACTORS[actor]]

        def act(call: Call, _request: Any) -> None:
            if call.at == place and left:
                with world.wire.others():
                    left.pop()(world)

        world.wire.kill_at(place)
        world.wire.before = act
        with suppress(PolicyExecutionError):
            command(world, output)
        world.wire.kill_at("")

    return run


DELETE = _users({"type": "composite-delete"}, "delete")
QUARANTINE = _users({"type": "quarantine"}, "quarantine")
LISTEN = _users({"type": "quarantine", "credentials": "keep"}, "listen")
BROWNOUT = _users({"type": "quarantine", "brownout": 15}, "brownout")
RELEASE = _users({"type": "release"}, "release")
#: The owner was addressed about the key, whose day is today.
_TOLD: Mapping[str, Any] = {"noticed": 0, "notices": str(NOTICES), "delivery": "unchecked"}
ANNOUNCE_KEY = _keys(
    {**INFORM, "step": "announce", "days": 0, "template": "iam-keys-flagged.html"}, "announce", unused=90
)
PARK = _keys({"type": "deactivate", "reason": "unused", "active-within": 30, **_TOLD}, "park", unused=90)
GIVE_BACK = _keys({"type": "activate"}, "give-back")
RETIRE = _keys({"type": "retire", "parked-for": 1e-6, **_TOLD}, "retire", status="inactive")
_ANNOUNCED, _PARKED = (ANNOUNCE_KEY, _later), (ANNOUNCE_KEY, _later, PARK, _later)
#: A quarantine that meets these puts AWSDenyAll on as the boundary.
_NO_ROOM = dict.fromkeys(("PutUserPolicy", "AttachUserPolicy"), "refused:LimitExceeded")

FLOWS = {
    each.name: each
    for each in (
        Flow("composite-delete", DELETE, "delete", "deleted"),
        Flow("quarantine", QUARANTINE, "quarantine", "quarantined"),
        Flow("quarantine-keep", LISTEN, "listen", "listened to"),
        Flow("brownout", BROWNOUT, "brownout", "browned out"),
        Flow("release", RELEASE, "release", "given back", (QUARANTINE,), gives_back=True),
        Flow("release-kept", RELEASE, "release", "given back", (LISTEN,), gives_back=True),
        Flow(
            "release-boundary",
            RELEASE,
            "release",
            "given back",
            (_disturbed(QUARANTINE, **_NO_ROOM),),
            gives_back=True,
        ),
        Flow("delete-quarantined", DELETE, "delete", "deleted", (LISTEN, QUARANTINE)),
        Flow("delete-resumed", DELETE, "delete", "deleted", (_disturbed(DELETE, "DeactivateMFADevice"),)),
        Flow(
            "release-resumed",
            RELEASE,
            "release",
            "given back",
            (
                _disturbed(QUARANTINE, **_NO_ROOM, PutUserPermissionsBoundary="502-html-applied"),
                QUARANTINE,
                _disturbed(RELEASE, "PutUserPermissionsBoundary"),
            ),
            gives_back=True,
        ),
        Flow("delete-untold", DELETE, "delete", "deleted", (_disturbed(DELETE, "SendMessage"),)),
        Flow("delete-attached", DELETE, "delete", "deleted", form="attached"),
        Flow("delete-boundary", DELETE, "delete", "deleted", form="boundary"),
        Flow("park", PARK, "park", "parked", _ANNOUNCED, form="keys", key=KEY),
        Flow("park-again", PARK, "park", "left", (*_PARKED, GIVE_BACK, _later), form="keys", key=KEY),
        Flow("give-back", GIVE_BACK, "give-back", "key given back", _PARKED, True, form="keys", key=KEY),
        Flow("retire", RETIRE, "retire", "retired", _PARKED, form="keys", key=KEY),
        Flow("announce", _announce, "announce", "announced", outcomes=False),
        Flow("provision", _provision_and_tell, "", "provisioned", outcomes=False, center=True),
        Flow("undo", _undo, "", "undone", (_provision,), outcomes=False, center=True),
        Flow("prune", _prune, "", "pruned", (_provision,), outcomes=False, center=True),
        Flow("restore", _restore(), "delete", "restored", (DELETE,), True, "restore-journal.jsonl", False),
        Flow(
            "restore-half",
            _restore("--user", "alice"),
            "delete",
            "restored",
            (_disturbed(DELETE, "DetachUserPolicy", RemoveUserFromGroup="502-html-applied"),),
            True,
            "restore-journal.jsonl",
            False,
        ),
        Flow(
            "restore-undone",
            _restore(),
            "delete",
            "restored",
            (_meanwhile(DELETE, "DetachUserPolicy#2", "deny-undone"),),
            True,
            "restore-journal.jsonl",
            False,
            form="boundary",
        ),
    )
}
