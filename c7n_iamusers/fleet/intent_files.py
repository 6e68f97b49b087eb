# SPDX-License-Identifier: Apache-2.0
"""The intents that the policies of a fleet run have left below its output directory, and what of them to believe.

c7n-org writes to ``<account's name>/<region>/<policy>``, Cloud Custodian to ``<policy>``. Whoever can write there can
claim anything, so what a file says is held against where it lies: the account of one directory is one, and lies in
one directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePath

from c7n_iamusers.aws.journal import utc_now
from c7n_iamusers.aws.stores import make_directory, sync_directory
from c7n_iamusers.decisions.intent_claims import check_claims
from c7n_iamusers.exceptions import IdentityCenterError
from c7n_iamusers.model.intent_documents import NotIntents, intents_data, intents_from
from c7n_iamusers.model.intents import INTENTS_FILE, Intents
from c7n_iamusers.model.policy_documents import SharedDocuments

#: The age up to which intents are applied unless somebody says otherwise: what is older speaks of other users.
MAX_AGE = timedelta(hours=24)
#: By how much another machine's clock may be ahead.
_AHEAD = timedelta(minutes=5)
_ACCOUNT_ID_LENGTH = 12


def write_intents(directory: Path, intents: Intents) -> Path:
    """Replace the directory's intents; durable when this returns, and for nobody else to read. Raises OSError."""
    timed = replace(intents, time=intents.time or utc_now())
    text = json.dumps(intents_data(timed), indent=1, default=str)
    make_directory(directory)
    path, draft = directory / INTENTS_FILE, directory / f".{INTENTS_FILE}.{os.getpid()}.draft"
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync_directory(directory)
    return path


def read_intents(
    output: Path,
    max_age: timedelta = MAX_AGE,
    accounts: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> list[Intents]:
    """All intents below ``output``; their place is the directory that they lie in, as seen from there.

    ``accounts``: account's name -> id, as c7n-org's accounts file has them, where that is known. Raises
    IdentityCenterError where there are none, where a file can't be read, is too old, or claims what the place it lies
    in does not: one account's intents less would look like a smaller fleet.
    """
    paths = sorted(output.rglob(INTENTS_FILE))
    if not paths:
        raise IdentityCenterError(
            f"no {INTENTS_FILE} below {output}: run a policy whose action provision-identity-center has mode: intent, "
            f"with c7n-org run ... -s {output}"
        )
    shared = SharedDocuments()
    found = [(path, _read(path, output, shared)) for path in paths]
    _check_ages(found, max_age, now or datetime.now(timezone.utc))
    _check_places(found, output, accounts)
    return [intents for _, intents in found]


def _read(path: Path, output: Path, shared: SharedDocuments) -> Intents:
    try:
        if not path.is_file():
            raise NotIntents("is no file")
        data = json.loads(path.read_text(encoding="utf-8"), object_hook=shared)
        check_claims(data)
        return intents_from(data, str(path.parent.relative_to(output)))
    except (OSError, ValueError, RecursionError) as error:
        kind = "" if isinstance(error, NotIntents) else f"{type(error).__name__}: "
        raise IdentityCenterError(f"{path}: can't be read as intents: {kind}{error}") from error


def _check_ages(found: Iterable[tuple[Path, Intents]], max_age: timedelta, now: datetime) -> None:
    for path, intents in found:
        age = now - (intents.time or now)
        if age > max_age:
            raise IdentityCenterError(
                f"{path} is of {intents.time}, older than {max_age}: users and their policies may be others by now: "
                "run the policies again, or give a longer --max-age"
            )
        if age < -_AHEAD:
            raise IdentityCenterError(
                f"{path} is of {intents.time}, which is yet to come: mend the clock of the machine that ran the "
                "policies"
            )


def _check_places(
    found: Iterable[tuple[Path, Intents]], output: Path, accounts: Mapping[str, str] | None
) -> None:
    of_directory: dict[PurePath, str] = {}
    of_account: dict[str, PurePath] = {}
    for path, intents in found:
        if path.resolve().parent.name != intents.policy:
            raise _claims(path, f"to be of policy {intents.policy}", "the directory of another")
        directory = _account_directory(path.relative_to(output))
        known = of_directory.setdefault(directory, intents.account_id)
        place = of_account.setdefault(intents.account_id, directory)
        if known != intents.account_id or place != directory:
            told = (
                f"where others are of account {known}"
                if known != intents.account_id
                else f"and so does {place}"
            )
            raise _claims(path, f"to be of account {intents.account_id}", told)
        name = directory.name
        expected = name if name.isdigit() and len(name) == _ACCOUNT_ID_LENGTH else intents.account_id
        if accounts is not None:
            expected = accounts.get(name, "")
        if expected != intents.account_id:
            raise _claims(
                path, f"to be of account {intents.account_id}", f"not that of {name or 'its directory'}"
            )


def _account_directory(path: PurePath) -> PurePath:
    """What stands before region and policy."""
    return PurePath(*path.parts[:-3])


def _claims(path: Path, claim: str, against: str) -> IdentityCenterError:
    return IdentityCenterError(
        f"{path} claims {claim}, {against}: find out who wrote it, remove it, and run the policies again"
    )
