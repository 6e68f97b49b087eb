# SPDX-License-Identifier: Apache-2.0
"""Every reader over the corpus: each file is read, or refused by an error that names it; none is a traceback."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from aws_local_org.errors import LocalOrgError
from aws_local_org.loading.documents import details_in, pages_in, report_in, yaml_file
from aws_local_org.serving import _discard_stale
from c7n_iamusers.cycle import waves
from c7n_iamusers.cycle.approvals import parse_state
from c7n_iamusers.cycle.settings import read_settings
from c7n_iamusers.deletion.reviewed_plan import DeletionPlan
from c7n_iamusers.evidence.account_report import read_details, read_report
from c7n_iamusers.exceptions import IamUsersError, InvalidPolicyData, OutputUnreadable
from c7n_iamusers.execution.calls import Subject
from c7n_iamusers.execution.given import parsed_file, pieces_of, read_given
from c7n_iamusers.execution.outcomes import load_outcomes
from c7n_iamusers.execution.stores import JOURNAL, DirectoryStore
from c7n_iamusers.execution.user_locks import LOCKS, UserLocks
from c7n_iamusers.identity_center.access_plan import Choices
from c7n_iamusers.identity_center.applying import served_users
from c7n_iamusers.identity_center.applying.center_lock import holder
from c7n_iamusers.identity_center.applying.run_history import memberships_left
from c7n_iamusers.identity_center.applying.run_records import read_result
from c7n_iamusers.identity_center.former_members import parse as parse_former
from c7n_iamusers.identity_center.model import Instance
from c7n_iamusers.identity_center.output.plan_files import read_plan
from c7n_iamusers.identity_center.requests.intent_files import read_intents
from c7n_iamusers.identity_center.requests.resource_policies import read_resource_policies
from c7n_iamusers.identity_center.sign_ins import parse_sign_ins
from c7n_iamusers.infrastructure_code.terraform_state import resources_in
from c7n_iamusers.key_usage.event_files import count_events
from c7n_iamusers.key_usage.ranges import parse_ranges
from c7n_iamusers.key_usage.tally import Tally
from c7n_iamusers.notices.exempted import parse_exempted
from c7n_iamusers.notices.forwarding import Addressed, forwarded
from c7n_iamusers.notices.held import parse_held
from c7n_iamusers.notices.notices import parse_record
from c7n_iamusers.organization.yaml_edits import with_account_emails
from c7n_iamusers.plugins.exemption_list import parse_source
from c7n_iamusers.plugins.provisioning_settings import permission_set_of
from c7n_iamusers.plugins.run_outputs import content_at
from c7n_iamusers.report.output_reader import read_outputs
from c7n_iamusers.report.outputs import UNREADABLE
from c7n_iamusers.report.verification import Verified, verify_outputs
from c7n_iamusers.resource_policies.leftovers import GoneUser, leftovers
from c7n_iamusers.resource_policies.naming import NamingIndex
from c7n_iamusers.resource_policies.reading import Reading, ResourcePolicy, parsed
from c7n_iamusers.restoration.snapshot_files import collected
from c7n_iamusers_cli.cycle.plans import approvals_in
from c7n_iamusers_cli.mail_templates import refused_by_mailer
from c7n_iamusers_cli.main import main
from c7n_iamusers_cli.policies import loaded
from c7n_iamusers_cli.provision.opening import account_ids, external_ids, people
from tests.examples import share
from tests.hostile.corpus import CORPUS, Hostile
from tests.records import user

ACCOUNT = "111122223333"
NOW = datetime(2027, 1, 1, tzinfo=timezone.utc)
#: A net, far beyond what the whole corpus takes: nothing in it may run for ever.
SECONDS = 600
#: Bytes of files that no command is run over, which takes long enough.
LARGE = 20_000


@dataclass(frozen=True)
class Reader:
    """``run``: reads the file at a path named ``name``. ``errors``: what it may raise, as its callers know.

    ``names_it``: whether the error itself names the file, and not the caller.
    """

    name: str
    run: Callable[[Path], object]
    errors: tuple[type[Exception], ...] = (IamUsersError,)
    names_it: bool = True


def exemptions(path: Path) -> object:
    return parse_source(str(path), "exempt-from").rules(None)


def plan_of_deletions(path: Path) -> object:
    return DeletionPlan.from_json(read_given(path))


def access_plan(path: Path) -> object:
    instance = Instance("arn:aws:sso:::instance/ssoins-1", "d-1", "us-east-1", ACCOUNT)
    digest = hashlib.sha256(read_given(path)).hexdigest()
    return read_plan(path, digest, instance, Choices())


def inline_policy(path: Path) -> object:
    return permission_set_of({"name": "x", "inline-policy-file": str(path)}, "policy p")


def mailer_emails(path: Path) -> object:
    return with_account_emails(read_given(path).decode(), {ACCOUNT: "a@example.com"})


def mailer_configuration(path: Path) -> None:
    """Raises ValueError for what a check shows as refused."""
    for found in refused_by_mailer(path):
        raise ValueError(found.text)


def calls(path: Path) -> None:
    """Raises ValueError for what is told of the file, and read beside the rest of it."""
    if (faults := count_events(pieces_of(str(path), lambda _: None), Tally())).number:
        raise ValueError(str(faults))


def in_store(read: Callable[[DirectoryStore], object]) -> Callable[[Path], object]:
    return lambda path: read(DirectoryStore(path.parent))


def killed_run(path: Path) -> object:
    """The record of a killed run in whose directory it is."""
    return served_users.read(DirectoryStore(path.parent.parent), path.parent.name, ())


METADATA = {"policy": {"name": "users", "resource": "aws.iam-user"}, "config": {}, "execution": {}}


def outputs(store: DirectoryStore) -> None:
    """Raises OutputUnreadable for what a report shows as unreadable."""
    beside = store.directory / "metadata.json"
    if not os.path.lexists(beside):
        beside.write_text(json.dumps(METADATA))
    for found in read_outputs(store):
        if found.state == UNREADABLE:
            raise OutputUnreadable(found.why)


def resource_policies(path: Path) -> object:
    beside = path.parent / "metadata.json"
    if not os.path.lexists(beside):
        run = {
            "config": {"account_id": ACCOUNT, "region": "eu-west-1"},
            "execution": {"start": NOW.timestamp()},
        }
        beside.write_text(json.dumps({**METADATA, **run}))
    return read_resource_policies([path], timedelta(days=1), NOW)


def named_by_a_policy(text: bytes) -> object:
    """As an answer of AWS has it: text."""
    found = ResourcePolicy("s3", "arn:aws:s3:::b", "eu-west-1", parsed(text.decode(errors="replace")))
    NamingIndex(Reading(("s3",), ("eu-west-1",), (found,))).of(user())
    return leftovers((found,), (), (GoneUser(user().arn, user().unique_id),))


def content(parse: Callable[[bytes], object]) -> Callable[[Path], object]:
    return lambda path: parse(read_given(path))


def notice(text: bytes) -> object:
    return parse_record(text, ACCOUNT, NOW)


def message(text: bytes) -> object:
    packed = base64.b64encode(zlib.compress(text)).decode()
    return forwarded(packed, {ACCOUNT: Addressed("payments", frozenset())}, NOW)


def snapshot_file(path: Path) -> object:
    found = collected([path])
    if found.problems:
        raise OSError("; ".join(found.problems))
    return found


def journal(store: DirectoryStore) -> object:
    from c7n_iamusers.execution.journal import parsed

    return list(parsed(store.read(JOURNAL) or b""))


def verified(store: DirectoryStore) -> None:
    """Raises OSError for what ``c7n-iamusers verify`` finds."""
    found = Verified()
    verify_outputs(store, lambda _: "", found)
    for each in found.found:
        raise OSError(each.why)


def user_lock(path: Path) -> None:
    """Takes the lock that the file is."""
    place = path.parent / LOCKS / "AIDA1.json"
    place.parent.mkdir()
    path.rename(place)
    user = Subject("alice", f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDA1")
    with UserLocks(DirectoryStore(path.parent), "a run", alone=True).held(user):
        pass


_STORE = (OSError, ValueError)
READERS = [
    *(Reader(f"exemptions.{form}", exemptions) for form in ("csv", "json", "yaml", "csv.gz")),
    *(Reader(f"people.{form}", people, (IamUsersError,)) for form in ("csv", "json", "yaml")),
    Reader("policies.yml", loaded),
    Reader("policies.json", loaded),
    Reader("accounts.yml", account_ids),
    Reader("external-ids.yml", lambda path: external_ids("", path)(ACCOUNT)),
    Reader("policy.json", inline_policy),
    Reader("policy-of-a-resource.json", content(named_by_a_policy), _STORE, names_it=False),
    *(
        Reader(f"ranges.{form}", content(partial(parse_ranges, form=form)), _STORE, names_it=False)
        for form in ("csv", "json", "yaml")
    ),
    *(Reader(f"calls.{form}", calls, _STORE, names_it=False) for form in ("csv", "json", "json.gz")),
    Reader("mailer-emails.yml", mailer_emails, (OSError, ValueError), names_it=False),
    Reader("details.json", lambda path: read_details(path).users),
    Reader("credentials.csv", read_report),
    Reader("deletion-plan.json", plan_of_deletions, (IamUsersError, OSError), names_it=False),
    Reader("access-plan.json", access_plan, (IamUsersError, OSError)),
    Reader(
        "sign-ins.json",
        content(lambda text: parse_sign_ins(text, "sign-ins")),
        (IamUsersError, OSError),
        False,
    ),
    Reader("alice.AIDA1.json", snapshot_file, (IamUsersError, OSError)),
    Reader("identity-center-intents.json", lambda path: read_intents(path.parent, trusted=True)),
    *(
        Reader(name, in_store(outputs))
        for name in (
            "resources.json",
            "resources.json.gz",
            "metadata.json",
            "outcomes.json",
            "journal.jsonl",
            "custodian-run.log",
            "identity-center-result.json",
        )
    ),
    *(Reader(name, resource_policies) for name in ("resources.json", "resources.json.gz")),
    Reader("outcomes.json", in_store(load_outcomes), _STORE, names_it=False),
    Reader("journal.jsonl", in_store(journal), _STORE, names_it=False),
    *(
        Reader(name, in_store(verified), (OSError,), names_it=False)
        for name in ("journal.jsonl", "outcomes.json")
    ),
    Reader(
        "result.json", in_store(lambda store: read_result(store, "result.json")), (IamUsersError, OSError)
    ),
    Reader(served_users.FILE, killed_run, (IamUsersError, OSError)),
    Reader(
        "undone.json", content(lambda text: memberships_left(text, "undone.json")), (IamUsersError, OSError)
    ),
    Reader("lock.json", content(holder), (OSError,)),
    Reader(
        "former.json",
        content(lambda text: parse_former(text, "former", "arn:aws:sso:::instance/ssoins-1")),
        (IamUsersError, OSError),
        names_it=False,
    ),
    Reader("notice.json", content(notice), _STORE, names_it=False),
    Reader("held.json", content(lambda text: parse_held(text, ACCOUNT)), _STORE, names_it=False),
    Reader("message-of-a-function", content(message), _STORE, names_it=False),
    Reader("exempted.json", content(lambda text: parse_exempted(text, ACCOUNT)), _STORE, names_it=False),
    Reader("plan-of-a-policy.json", lambda path: content_at(None, str(path)), (OSError,)),
    Reader("accounts-of-a-rehearsal.yml", yaml_file, (LocalOrgError,)),
    Reader("local-details.json", lambda path: details_in(path), (LocalOrgError,)),
    Reader("local-credentials.csv", report_in, (LocalOrgError,)),
    Reader("local.env", _discard_stale, (LocalOrgError,)),
    Reader("mailer-configuration.yml", mailer_configuration, (ValueError,)),
    Reader("lock-of-a-user.json", user_lock, names_it=False),
    Reader(
        "iam-users.yml", lambda path: parsed_file(path, read_settings), (ValueError, OSError), names_it=False
    ),
    Reader("approvals.csv", lambda path: approvals_in(path.parent)),
    Reader("record-of-a-cycle.json", content(waves.parse_record), _STORE, names_it=False),
    Reader("state-of-a-plan.json", content(parse_state), _STORE, names_it=False),
    Reader("terraform.tfstate", content(lambda text: resources_in(text, "-")), _STORE, names_it=False),
]


@pytest.fixture(autouse=True)
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _too_long(*_: object) -> None:
    raise TimeoutError(f"the corpus was not read within {SECONDS} seconds")


def placed(directory: Path, name: str, number: int) -> Iterator[tuple[Hostile, Path]]:
    """The corpus as files ``name``, or a share of it: the readers' together are all of it many times over.

    The FIFO, which everybody has to refuse, is in each share.
    """
    fifo = next(hostile for hostile in CORPUS if hostile.name == "fifo")
    for at, hostile in enumerate(dict.fromkeys((fifo, *share(CORPUS, number)))):
        path = directory / f"{at}-{hostile.name}" / name
        path.parent.mkdir()
        hostile.make(path)
        yield hostile, path


def test_the_corpus() -> None:
    assert len({each.name for each in CORPUS}) == len(CORPUS) > 100


@pytest.mark.parametrize("reader", READERS, ids=[f"{at}-{each.name}" for at, each in enumerate(READERS)])
def test_every_hostile_file_is_read_or_refused(reader: Reader, tmp_path: Path) -> None:
    refused = 0
    for hostile, path in placed(tmp_path, reader.name, READERS.index(reader)):
        error = refusal(reader, path)
        if error is not None:
            refused += 1
            assert len(str(error)) < 100_000, hostile.name
            assert path.name in str(error) or not reader.names_it, (hostile.name, str(error))
    assert refused


def refusal(reader: Reader, path: Path) -> Exception | None:
    """The error by which the reader refuses the file. Any other than those that it may raise ends the test."""
    try:
        reader.run(path)
    except reader.errors as error:
        return error
    return None


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Files that are right beside the one that is hostile."""
    directory = tmp_path / "good"
    directory.mkdir()
    (directory / "policies.yml").write_text(
        "policies:\n- {name: users, resource: aws.iam-user, source: authorization-details}\n"
    )
    role = f"arn:aws:iam::{ACCOUNT}:role/CloudCustodian"
    (directory / "accounts.yml").write_text(
        f"accounts:\n- {{name: payments, account_id: '{ACCOUNT}', role: '{role}', vars: {{owner: a@example.com}}}}\n"
    )
    (directory / "details.json").write_text('{"UserDetailList": []}')
    (directory / "credentials.csv").write_text("user,arn\n")
    (directory / "out" / "users").mkdir(parents=True)
    (directory / "out" / "users" / "metadata.json").write_text(json.dumps(METADATA))
    (directory / "out" / "users" / "resources.json").write_text("[]")
    return directory


#: {} is the hostile file, GOOD/ the directory above.
COMMANDS = [
    ("accounts.yml", "shard -c {} --index 0 --of 1"),
    ("accounts.yml", "report -s GOOD/out -c {}"),
    ("accounts.yml", "owners -c {} --from accounts"),
    ("accounts.yml", "permissions -u GOOD/policies.yml -c {}"),
    ("accounts.yml", "evidence -c {} -a nobody"),
    ("mailer.yml", "owners -c GOOD/accounts.yml --from accounts --write --mailer {}"),
    ("policies.yml", "report -s GOOD/out -u {}"),
    ("policies.yml", "permissions -u {}"),
    ("policies.yml", "roles -u {} --runner arn:aws:iam::111122223333:role/runner"),
    ("plan.json", "plan {}"),
    ("plan.json", "plan {} --format json"),
    ("details.json", "evidence --authorization-details {} --credential-report GOOD/credentials.csv"),
    ("credentials.csv", "evidence --authorization-details GOOD/details.json --credential-report {}"),
    (
        "alice.AIDA1.json",
        f"restore {{}} --role arn:aws:iam::{ACCOUNT}:role/x --dry-run --account 444455556666",
    ),
]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[command for _, command in COMMANDS])
def test_no_command_ends_with_a_traceback(name: str, command: str, tmp_path: Path, good: Path) -> None:
    refused = 0
    for hostile, path in placed(tmp_path, name, COMMANDS.index((name, command))):
        if path.is_file() and path.stat().st_size > LARGE:
            continue  # the reader of the command has read it above
        arguments = [part.replace("GOOD", str(good)).replace("{}", str(path)) for part in command.split()]
        done = CliRunner().invoke(main, arguments)
        assert isinstance(done.exception, SystemExit | None), (hostile.name, done.exc_info)
        assert "Traceback" not in done.output
        if done.exit_code:
            refused += 1
            assert name in done.output, (hostile.name, done.output)
    assert refused


def test_errors_name_the_bound(tmp_path: Path) -> None:
    named = {
        "deep-arrays": "at most 64 lists and objects",
        "aliases": "more than 1000000 values",
        "a-list-in-itself": "never ends",
        "nan": "NaN",
        "many-columns": "40000 columns, and may have 1000",
        "fifo": "is a FIFO",
        "directory": "is a directory",
        "device-that-never-ends": "is a device",
        "larger-than-any": "more than 16777216 bytes",
        "larger-than-yaml": "more than 8388608 characters",
        "gzip-bomb": "more than 16777216 bytes when it is unpacked",
    }
    forms = {"nan": "json", "deep-arrays": "json", "many-columns": "csv"}
    for hostile in CORPUS:
        if hostile.name in named:
            path = tmp_path / f"{hostile.name}.{forms.get(hostile.name, 'yaml')}"
            hostile.make(path)
            with pytest.raises(IamUsersError, match=named[hostile.name]):
                exemptions(path)


def test_json_values_that_follow_one_another_are_read_once() -> None:
    assert len(pages_in('{"UserDetailList": []}\n' * 3)) == 3


def test_a_policy_that_grows_by_its_aliases_is_refused_before_it_is_walked() -> None:
    from c7n_iamusers.plugins.policy_checks import require_bounded

    class Manager:
        data: dict[str, object]

    manager, value = Manager(), list[object](["x"])
    for _ in range(30):
        value = [value] * 9
    manager.data = {"name": "p", "filters": [{"type": "unnecessary", "exempt": value}]}
    from c7n.exceptions import PolicyValidationError

    with pytest.raises(PolicyValidationError, match="policy p: has more than 1000000 values"):
        require_bounded(manager)
    loop: list[object] = []
    loop.append(loop)
    manager.data["filters"] = loop
    with pytest.raises(PolicyValidationError, match="never ends"):
        require_bounded(manager)


def test_an_error_shows_a_value_that_never_ends_in_a_line() -> None:
    from c7n_iamusers.exemptions import parse_rules

    value: dict[str, object] = {}
    value["exempt"] = value
    huge: object = "x"
    for _ in range(40):
        huge = [huge] * 9
    for entries in (value, {"a": huge}, 1 << 100_000):
        with pytest.raises(InvalidPolicyData, match="must be a list of rules") as refused:
            parse_rules(entries, "exempt")
        assert len(str(refused.value)) < 5_000
