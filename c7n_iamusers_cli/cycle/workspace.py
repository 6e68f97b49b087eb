# SPDX-License-Identifier: Apache-2.0
"""A workspace: its settings, accounts, policies and output, read and checked before anything is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from c7n_iamusers.cycle.command_lines import OWN, TAG, Center
from c7n_iamusers.cycle.due import Account, announcements_of
from c7n_iamusers.cycle.settings import SETTINGS_FILE, Settings, read_settings
from c7n_iamusers.cycle.steps import RECORDS, Step, file_of, steps_of
from c7n_iamusers.cycle.waves import Record, check_waves, parse_record, wave_of
from c7n_iamusers.exceptions import InvalidPolicyData, NoticesUnreadable, OutputUnreadable
from c7n_iamusers.execution.given import parsed_file
from c7n_iamusers.text.documents import read_json
from c7n_iamusers.text.wording import joined
from c7n_iamusers.text.yaml_documents import read_yaml
from c7n_iamusers_cli.accounts import with_role
from c7n_iamusers_cli.arguments import S3, open_place, read_accounts
from c7n_iamusers_cli.yaml_files import as_yaml, put

if TYPE_CHECKING:
    from c7n_iamusers.execution.stores import Store
    from c7n_iamusers.notices.notices import Notices
    from c7n_iamusers.organization.readiness import Target

#: Accounts whose notices are read at once.
_AT_ONCE = 8
#: The directory of the records of cycles, below the output.
_RUNS = f"{RECORDS}/runs/"


@dataclass(frozen=True)
class Workspace:
    """``data``: the content of the accounts file; ``targets``: its accounts. ``steps``: in their order.

    ``files``: the names in the directory of policies.
    """

    directory: Path
    settings: Settings
    data: Mapping[str, Any]
    targets: Sequence[Target]
    files: Sequence[str]
    steps: Sequence[Step]
    #: Whether the role that removes has them, and accounts -> the text of the file: most steps have the same.
    _texts: dict[tuple[bool, frozenset[str]], str] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> Workspace:
        """The workspace in ``directory``. Raises InvalidPolicyData for what is missing, or contradicts itself."""
        file = directory / SETTINGS_FILE
        if not file.is_file():
            raise InvalidPolicyData(
                f"{file} is not there: run this command in a workspace, or give it by -w. `c7n-iamusers init DIR` "
                "writes one for an organization; beside an accounts.yml of your own, an empty file has the defaults"
            )
        from c7n_iamusers.execution.stores import DirectoryStore

        try:
            settings = parsed_file(file, read_settings)
        except (ValueError, OSError) as error:
            raise InvalidPolicyData(f"{file}: {error}") from error
        accounts, policies = directory / settings.accounts, directory / settings.policies
        data = read_accounts(_existing(accounts, file, "accounts"), _whole)
        files = sorted(DirectoryStore(_existing(policies, file, "policies")).entries(""))
        try:
            steps = steps_of(settings.steps, settings.provision, files)
        except ValueError as error:
            raise InvalidPolicyData(f"{policies}: {error}") from error
        from c7n_iamusers.organization.readiness import targets

        found = cls(directory, settings, data, targets(data), files, steps)
        if faults := [*found._faults()]:
            raise InvalidPolicyData(f"{accounts}: {joined(faults)}")
        return found

    def _faults(self) -> Sequence[str]:
        from c7n_iamusers.organization.readiness import name_faults

        reader = self.settings.roles.reader
        others = [
            f"{each} has the role {each.roles[-1] if each.roles else 'of no name'}"
            for each in self.targets
            if not each.roles or each.roles[-1].partition(":role/")[2] != reader
        ]
        faults = others and [
            f"{joined(others[:3])}{' and so on' if others[3:] else ''}, and {SETTINGS_FILE} says that {reader} is the "
            "role that only reads (roles.reader): correct one of them"
        ]
        for each in self.targets:
            if wrong := [*name_faults(each.name, each.account_id)]:
                faults = [
                    *faults,
                    f"the name of account {each.account_id} has {joined(wrong)}: write another one",
                ]
        try:
            check_waves({each.name: wave_of(each.tags) for each in self.targets})
        except ValueError as error:
            faults = [*faults, str(error)]
        needs = [each for each in self.steps if each.name == "provision"]
        center = (self._variable("identity_center_role"), self._variable("identity_center_region"))
        if needs and not all(center):
            faults = [
                *faults,
                "vars lack identity_center_role or identity_center_region, which provision needs: write them, or "
                f"provision: false into {SETTINGS_FILE}",
            ]
        return faults

    def _variable(self, name: str) -> str:
        """A variable that is the same for all accounts; empty if there is none."""
        return str((self.data.get("vars") or {}).get(name) or "")

    @property
    def center(self) -> Center:
        """How `provision` reaches Identity Center, and the accounts."""
        roles, role = self.settings.roles, self._variable("identity_center_role")
        if roles.provisioner:
            role = f"{role.partition(':role/')[0]}:role/{roles.provisioner}"
        member = f"arn:{role.split(':')[1]}:iam::{{account_id}}:role/{roles.reader}"
        return Center(role, self._variable("identity_center_region"), member, self._variable("records"))

    def policies_of(self, step: Step) -> str:
        """The path of the step's policies, from the workspace."""
        return f"{self.settings.policies}/{file_of(step, self.files)}"

    def policies(self, step: Step) -> dict[str, Any]:
        """The content of that file. Raises InvalidPolicyData."""
        path = self.directory / self.policies_of(step)
        try:
            found = parsed_file(path, read_yaml)
        except ValueError as error:
            raise InvalidPolicyData(f"{path}: {error}") from error
        if not isinstance(found, dict) or not isinstance(found.get("policies"), list):
            raise InvalidPolicyData(f"{path} has no list named policies: give policies of Cloud Custodian")
        return found

    def write_accounts(self, file: str, accounts: Sequence[Account], remover: bool) -> None:
        """Write the accounts file ``file`` with TAG at ``accounts``, and the role that removes if so. Mode 0600.

        Raises InvalidPolicyData.
        """
        chosen = frozenset(each.account_id for each in accounts)
        if (remover, chosen) not in self._texts:
            self._texts[remover, chosen] = self._accounts_text(remover, chosen)
        self.write(file, self._texts[remover, chosen])

    def _accounts_text(self, remover: bool, chosen: frozenset[str]) -> str:
        data, roles = self.data, self.settings.roles
        try:
            if remover and roles.remover != roles.reader:
                data = with_role(data, roles.remover, {})
        except ValueError as error:
            raise InvalidPolicyData(f"{self.settings.accounts}: {error}") from error
        entries = [_tagged(each, str(each["account_id"]) in chosen) for each in data["accounts"]]
        return as_yaml({**data, "accounts": entries})

    def write(self, file: str, content: str) -> None:
        """Write ``file``, a path from the workspace, in place of what is there. Mode 0600."""
        path = self.directory / file
        put(content, self.directory / self.settings.accounts, path, True)

    def write_bytes(self, file: str, content: bytes) -> None:
        """The same for content that is no YAML. Raises OutputUnreadable."""
        from c7n_iamusers.execution.stores import DirectoryStore

        try:
            DirectoryStore(self.directory).replace(file, content)
        except OSError as error:
            raise OutputUnreadable(f"{self.directory / file} can't be written: {error}") from error

    def open(self, place: str) -> Store:
        """The store of a place of the workspace, which is created if it is a directory. Raises OutputUnreadable."""
        if place.startswith(S3):
            return open_place(place)
        from c7n_iamusers.execution.stores import make_directory

        path = self.directory / place
        try:
            make_directory(path)
        except OSError as error:
            raise OutputUnreadable(f"{path} can't be created: {error}") from error
        return open_place(str(path))

    @property
    def output(self) -> Store:
        """What all that runs write is in. Raises OutputUnreadable."""
        return self.open(self.settings.output)

    @property
    def left(self) -> Store | None:
        """The same, for reading alone; None if there is none yet."""
        return self.output if self.is_there(self.settings.output) else None

    def is_there(self, place: str) -> bool:
        """Whether a place of the workspace is a bucket, or a directory that there is."""
        return place.startswith(S3) or (self.directory / place).is_dir()

    @property
    def own(self) -> Path:
        """The directory of what the cycle writes for its commands."""
        return self.directory / OWN

    def notices_of(self, target: Target) -> str:
        """The place of an account's notices; empty where the accounts file does not say it."""
        from c7n_iamusers.organization.readiness import NOTICES, filled

        return next(iter(filled([target.variables.get(NOTICES)], target)), "")

    def accounts(self, targets: Sequence[Target], last: Record | None, now: datetime) -> list[Account]:
        """``targets`` with what is known of each. An account whose notices can't be read says so."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda each: self._account(each, last, now), targets))

    def _account(self, target: Target, last: Record | None, now: datetime) -> Account:
        known = Account(
            target.account_id,
            target.name,
            wave_of(target.tags),
            target.variables,
            ran={step: of[target.account_id] for step, of in _ran(last).items() if target.account_id in of},
        )
        try:
            return replace(known, announced=announcements_of(self.notices(target, now), now))
        except NoticesUnreadable as error:
            return replace(known, announced=None, fault=str(error))

    def notices(self, target: Target, now: datetime) -> Notices:
        """The notices of an account. Raises NoticesUnreadable."""
        from c7n_iamusers.notices.notices import Notices

        place = self.notices_of(target)
        if not place:
            raise NoticesUnreadable(
                f"{self.settings.accounts} says no place for them: write notices under vars"
            )
        if not self.is_there(place):
            return Notices((), place)  # nothing was announced yet: the first run creates it
        try:
            return Notices.read(self.open(place), target.account_id, now)
        except OutputUnreadable as error:
            raise NoticesUnreadable(str(error)) from error


def _ran(last: Record | None) -> Mapping[str, Mapping[str, datetime]]:
    return last.ran if last else {}


def _existing(path: Path, file: Path, key: str) -> Path:
    if not path.exists():
        raise InvalidPolicyData(f"{file}: {key}: there is no {path}: correct it, or create that")
    return path


def _whole(data: Any) -> dict[str, Any]:
    """An accounts file whose accounts can be told apart. Raises ValueError."""
    from c7n_iamusers.organization.readiness import given_twice, targets

    if twice := given_twice(targets(data)):
        raise ValueError(f"it has {joined(twice)}: leave one entry each")
    for each in data["accounts"]:
        if TAG in (each.get("tags") or ()):
            raise ValueError(
                f"account {each['account_id']} has the tag {TAG}, which is the cycle's own: remove it"
            )
    return dict(data)


def _tagged(entry: Mapping[str, Any], chosen: bool) -> dict[str, Any]:
    return {**entry, "tags": [*(entry.get("tags") or ()), TAG]} if chosen else dict(entry)


class Records:
    """The records of cycles in the output: one small file each, whose name begins with the time."""

    def __init__(self, store: Store, began: datetime, run: str) -> None:
        self._store, self._name = store, f"{_RUNS}{began:%Y%m%dT%H%M%SZ}-{run}.json"

    def last(self) -> Record | None:
        """See ``last_record``."""
        return last_record(self._store)

    def write(self, record: Record) -> None:
        """Raises OutputUnreadable."""
        try:
            self._store.replace(self._name, record.as_json())
        except OSError as error:
            raise OutputUnreadable(
                f"the record {self._store.place(self._name)} can't be written: {error}"
            ) from error


def last_record(store: Store) -> Record | None:
    """What the latest cycle left; None before the first one. Raises OutputUnreadable if that can't be read."""
    try:
        names = [each for each in store.names(_RUNS) if each.endswith(".json")]
        content = store.read(names[-1]) if names else None
        return parse_record(content) if content else None
    except (OSError, ValueError) as error:
        raise OutputUnreadable(
            f"the records of cycles below {store.place(_RUNS)} can't be read: {error}: they say which waves are open; "
            "make them readable, or move the broken one away"
        ) from error


def check_rows(path: Path) -> list[Mapping[str, Any]]:
    """The lines of `report --check-output`. Raises OSError and ValueError."""
    found: list[Mapping[str, Any]] = parsed_file(path, read_json)
    return found
