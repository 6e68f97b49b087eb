# SPDX-License-Identifier: Apache-2.0
"""``c7n-iamusers roles``: the IAM roles that given policies take, with trust policies and exact permissions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers_cli.arguments import (
    check_principal,
    external_id,
    is_role_arn,
    organization_id,
    policy_files,
    role_arn,
    role_name,
)
from c7n_iamusers_cli.mailer import MailerOptions, mailer_options, mailer_role
from c7n_iamusers_cli.output import format_option, print_json
from c7n_iamusers_cli.permissions import (
    account_values,
    needed_in_account,
    needed_in_center,
    part_data,
    parts_of,
)
from c7n_iamusers_cli.policies import loaded

if TYPE_CHECKING:
    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.organization.account_values import AccountValues
    from c7n_iamusers.organization.readiness import Target
    from c7n_iamusers.roles.documents import Functions, Places, RoleNeeds, RoleSettings

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
#: What Cloud Custodian fills in in an output's URL, and what of it changes between runs.
_FILLED_IN = re.compile(r"\{(account_id|region|policy_name|now|uuid)([!:][^{}]*)?\}")
_CHANGING = re.compile(r"\{(now|uuid)[^{}]*\}")
#: The modes of Cloud Custodian that make a Lambda function and a rule of EventBridge.
_MODES = ("cloudtrail", "periodic")
#: The account of the role itself, in its policy.
_OWN_ACCOUNT = "${aws:PrincipalAccount}"


@click.command()
@policy_files
@click.option(
    "--runner",
    required=True,
    metavar="ARN",
    callback=role_arn,
    help="The role that runs c7n-org; the others trust it.",
)
@click.option(
    "-c", "--config", type=_FILE, help="c7n-org's accounts file, for the variables that the policies use."
)
@click.option("--reader", default="IamUsersReader", show_default=True, metavar="NAME", callback=role_name)
@click.option("--remover", default="IamUsersRemover", show_default=True, metavar="NAME", callback=role_name)
@click.option("--deployer", default="IamUsersDeployer", show_default=True, metavar="NAME", callback=role_name)
@click.option(
    "--identity-center-role",
    "center",
    metavar="ARN",
    callback=role_arn,
    help="Instead of the one that the policies and the accounts file name.",
)
@click.option(
    "--runner-principal",
    default="",
    metavar="ARN|SERVICE",
    help="Who may assume the runner's role, such as ec2.amazonaws.com. Without it the role must exist, and gets a "
    "policy only.",
)
@click.option(
    "--external-id",
    default="",
    metavar="TEXT",
    callback=external_id,
    help="As external_id in the accounts file.",
)
@click.option(
    "--org-id",
    "organization",
    default="",
    metavar="ID",
    callback=organization_id,
    help="The organization that the buckets, the roles and the runner are in: those of any other are denied.",
)
@click.option(
    "--output-dir", "-s", "outputs", multiple=True, metavar="URL", help="The runner's s3:// output."
)
@mailer_options
@click.option(
    "--restore",
    is_flag=True,
    help="Let the remover run `c7n-iamusers restore`, which can give policies to users.",
)
@click.option(
    "--undo",
    is_flag=True,
    help="Let the role for Identity Center run `c7n-iamusers provision prune` and `undo`, which delete.",
)
@click.option(
    "--setup",
    is_flag=True,
    help="Let the roles also run `c7n-iamusers owners` and `preflight`, which read the organization and the roles' "
    "own permissions.",
)
@click.option(
    "--role",
    "only",
    type=click.Choice(
        ["member-reader", "member-remover", "function", "deployer", "identity-center", "runner", "mailer"]
    ),
    help="Print this one alone.",
)
@format_option("cloudformation", "terraform", "json")
def roles(
    files: tuple[Path, ...],
    runner: str,
    config: Path | None,
    center: str | None,
    outputs: tuple[str, ...],
    restore: bool,
    undo: bool,
    setup: bool,
    only: str | None,
    output_format: str,
    **settings: Any,
) -> None:
    """Print the roles that the policies in the given files take, one document each.

    member-reader and member-remover are for each member account, identity-center for the account that administers
    Identity Center, and runner for the account in which c7n-org runs. Policies that change users are the remover's,
    all others the reader's. Policies with a Lambda mode run as the role that mode.role names, which is function (and
    function-2, ... where they name several), and c7n-org deploys them as deployer; these are for each member account.
    What each may do comes from what the filters and actions declare. With --mailer there is one more, mailer, which
    runs c7n-mailer, by that file alone. The printed JSON has a member for each role; with --role it is the document
    alone.
    """
    from c7n_iamusers.roles.documents import RoleSettings, role_documents
    from c7n_iamusers.roles.rendering import rendered_role

    policies = [policy for file in files for policy in loaded(file)]
    mailer = MailerOptions(**{field.name: settings.pop(field.name) for field in fields(MailerOptions)})
    _check(runner, settings, only)
    values = account_values(config)
    _check_queues(policies, values)
    for url in outputs:
        _check_output(url)
    written, listed = _output_places(outputs, values)
    pulling = [each for each in policies if each.execution_mode == "pull"]
    names = _Names([*parts_of(pulling)], values)
    of_mailer = mailer_role(mailer, runner, setup)
    known = RoleSettings(
        runner, center=center or names.center(), mailer=of_mailer.arn if of_mailer else "", **settings
    )
    _check_partitions(known, values.targets)
    places = names.places(written, listed)
    functions = _functions([each for each in policies if each not in pulling], values, outputs)
    needs = replace(role_needs(pulling, values, restore, undo), functions=functions, setup=setup)
    _check_names(functions, known, only)
    documents = [*role_documents(needs, known, places), *([of_mailer.document()] if of_mailer else [])]
    found = {document.kind: rendered_role(document, output_format) for document in documents}
    if only and only not in found:
        raise InvalidPolicyData(
            f"the policies take no role {only}; they take {', '.join(found)}, and with --mailer FILE also mailer"
        )
    print_json(found[only] if only else found)


def role_needs(
    policies: Iterable[Any], values: AccountValues, restore: bool = False, undo: bool = False
) -> RoleNeeds:
    """What c7n's ``policies`` need, by the role that calls.

    ``restore``, ``undo``: also what `c7n-iamusers restore`, and `provision prune` and `undo`, need.
    """
    from c7n_iamusers.iam.permissions import RESTORATION, Needed, changes_users
    from c7n_iamusers.identity_center.planning.operations import REMOVING
    from c7n_iamusers.roles.documents import RoleNeeds

    reader: Needed | None = None
    remover = Needed(restoring=frozenset(RESTORATION)) if restore else None
    in_center = frozenset(REMOVING if undo else ())
    for policy in policies:
        needed = Needed()
        for part in parts_of([policy]):
            needed |= needed_in_account(part, values)
            in_center |= needed_in_center(part)
        if changes_users(needed.own | needed.others):
            remover = (remover or Needed()) | needed
        else:
            reader = (reader or Needed()) | needed
    return RoleNeeds(reader, remover, in_center)


def _check(runner: str, settings: Mapping[str, str], only: str | None) -> None:
    """Raises click.UsageError for what would give roles that are useless or too wide."""
    names = ("reader", "remover", "deployer")
    if len({settings[name] for name in names}) < len(names) and not only:
        raise click.UsageError(
            "--reader, --remover and --deployer are three roles: give them different names, or print one by --role"
        )
    check_principal("--runner-principal", settings["runner_principal"], runner)


def _check_names(functions: Sequence[Functions], known: RoleSettings, only: str | None) -> None:
    """Raises InvalidPolicyData where the functions would share a role, or ``only`` one of several is asked for."""
    from c7n_iamusers.roles.documents import FUNCTION

    for each in functions:
        if each.role.rpartition("/")[2] in (known.reader, known.remover, known.deployer):
            raise InvalidPolicyData(
                f"mode.role is {each.role}, and so is --reader, --remover or --deployer: the functions have a role of "
                "their own, so give another name"
            )
    if only == FUNCTION and len(functions) > 1:
        raise InvalidPolicyData(
            f"the functions have several roles ({', '.join(each.role for each in functions)}): print all, or give the "
            "files of one of them"
        )


def _check_queues(policies: Iterable[Any], values: AccountValues) -> None:
    """Raises InvalidPolicyData where a member account could write to the queue that c7n-mailer reads."""
    from c7n_iamusers.organization.queues import open_mailer

    if fault := open_mailer(values.targets, [policy.data for policy in policies]):
        raise InvalidPolicyData(fault)


def _check_partitions(settings: RoleSettings, targets: Iterable[Target]) -> None:
    """Raises InvalidPolicyData for an account, or a role, in another partition than the runner's."""
    found = {
        str(target): target.partition for target in targets if target.roles or {*target.regions} - {"all"}
    }
    if settings.center:
        found[f"the role for Identity Center {settings.center}"] = settings.center.split(":")[1]
    for what, partition in found.items():
        if partition != settings.partition:
            raise InvalidPolicyData(
                f"{what} is in partition {partition}, and the runner {settings.runner} in {settings.partition}: a role "
                "trusts no role of another partition. Print the roles of each partition by themselves, with its own "
                "accounts file, --runner and --identity-center-role"
            )


def _functions(
    policies: Iterable[Any], values: AccountValues, outputs: Sequence[str]
) -> tuple[Functions, ...]:
    """The policies that run in AWS Lambda, by their role. ``outputs``: see ``_functions_of``.

    Raises InvalidPolicyData.
    """
    by_role = dict[str, list[Any]]()
    for policy in policies:
        role, *others = dict.fromkeys(_function_roles(policy, values))
        if others:
            raise InvalidPolicyData(
                f"{policy.name}: its function has several roles ({', '.join([role, *others])}): give them one name in "
                "all accounts"
            )
        by_role.setdefault(role, []).append(policy)
    return tuple(_functions_of(role, found, values, outputs) for role, found in by_role.items())


def _functions_of(
    role: str, policies: Sequence[Any], values: AccountValues, outputs: Sequence[str]
) -> Functions:
    """``outputs``: of the runner, which a function has if it names no other."""
    from c7n_iamusers.iam.permissions import Needed
    from c7n_iamusers.roles.documents import Functions

    needed, given = Needed(), dict[str, None]()
    for policy in policies:
        output = _option(policy, "output_dir")
        given |= dict.fromkeys([output] if output else outputs)
        for part in parts_of([policy]):
            if needed_in_center(part):
                raise InvalidPolicyData(
                    f"{policy.name}: a function that works in IAM Identity Center by another role is not in these "
                    "documents: run the policy without mode, by c7n-org"
                )
            needed |= needed_in_account(part, values)
    names = _Names([*parts_of(policies)], values, _OWN_ACCOUNT)
    written, listed = _output_places(given, values, _OWN_ACCOUNT)
    return Functions(
        role,
        tuple(f"{each.data['mode'].get('function-prefix', 'custodian-')}{each.name}" for each in policies),
        needed,
        names.places(written, listed),
    )


def _function_roles(policy: Any, values: AccountValues) -> Iterator[str]:
    """The name of the role of ``policy``'s function, after its path if it has one. Raises InvalidPolicyData."""
    mode = policy.data["mode"]
    if mode["type"] not in _MODES:
        raise InvalidPolicyData(
            f"{policy.name}: the roles for mode {mode['type']} are not in these documents, only those for "
            f"{' and '.join(_MODES)}: leave its file out"
        )
    if mode.get("member-role") or _option(policy, "assume_role"):
        raise InvalidPolicyData(
            f"{policy.name}: its function assumes another role, which is not in these documents: leave its file out"
        )
    if not (role := mode.get("role")):
        raise InvalidPolicyData(
            f"{policy.name}: names no mode.role, so its function would run as the role by which c7n-org deploys it: "
            "name a role of its own"
        )
    for each in values.of("role of the function", role):
        name = each.partition(":role/")[2] if each.startswith("arn:") else each
        if not is_role_arn(f"arn:aws:iam::111122223333:role/{name}"):
            raise InvalidPolicyData(
                f"{policy.name}: mode.role: {each!r} is neither the name nor the ARN of a role"
            )
        yield name


def _option(policy: Any, name: str) -> str:
    return str(policy.data["mode"].get("execution-options", {}).get(name) or "")


def _check_output(url: str) -> None:
    """Raises click.UsageError if ``url`` is no output in a bucket, or Cloud Custodian can't fill it in."""
    if not url.startswith("s3://") or "{" in _FILLED_IN.sub("", url):
        raise click.UsageError(
            f"--output-dir: {url!r} is not s3://BUCKET/PREFIX, in which Cloud Custodian fills in {{account_id}}, "
            "{region}, {policy_name}, {now} and {uuid}: correct it, or leave it out for a directory"
        )


def _output_places(
    urls: Iterable[str], values: AccountValues, account: str = "*"
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The places of the outputs, and the directories in which the outputs of several policies lie side by side.

    This package's own files lie where the parts of a URL that change between runs are left out. An action finds the
    journals of other policies beside its own output.
    """
    written, listed = dict[str, None](), dict[str, None]()
    for url in urls:
        lasting = re.sub(r"(?<!:)/{2,}", "/", _CHANGING.sub("", url)).rstrip("/")
        for each in (url, lasting):
            written |= dict.fromkeys(values.places("output", each, account))
        directory = lasting.rpartition("/")[0]
        if "{policy_name}" in lasting and directory.count("/") > 2:
            listed |= dict.fromkeys(values.places("output", f"{directory}/", account))
    return tuple(written), tuple(listed)


@dataclass(frozen=True)
class _Names:
    """What ``parts`` name: queues, places, roles. ``account``: stands for the id of the account in keys."""

    parts: Sequence[Any]
    values: AccountValues
    account: str = "*"

    def places(self, outputs: tuple[str, ...], listed: tuple[str, ...]) -> Places:
        """Where the runner's own session sends and writes, and what it reads: journals, plans, and who signed in."""
        from c7n_iamusers.roles.documents import Places

        sending = [part for part in self.parts if part_data(part).get("assume_role") is False]
        queues = self._named("queue", map(_queue, sending))
        counted = self._named("queue", [_queue(part) for part in sending if getattr(part, "queue", "")])
        notices = self._notices()
        journals, records, sign_ins, plans = (
            tuple(place for part in self.parts for place in self._places(part, key))
            for key in ("record-from", "records", "sign-ins", "plan")
        )
        return Places(
            queues,
            (*notices.written, *outputs),
            (*notices.read, *journals, *records),
            (*sign_ins, *plans),
            (*notices.listed, *listed),
            notices.tops,
            counted,
        )

    def _notices(self) -> Places:
        """The notices of all accounts, or of ``account`` alone, whose function must neither forge nor hide others'."""
        from c7n_iamusers.notices.held import DIRECTORY
        from c7n_iamusers.notices.notices import directories
        from c7n_iamusers.roles.documents import Places

        found = [(part, url) for part in self.parts for url in self._places(part, "notices")]
        if self.account == "*":
            return Places(written=tuple(url for _, url in found))
        written, read, listed, tops = list[str](), list[str](), list[str](), list[str]()
        for part, url in found:
            place = url.partition("?")[0].rstrip("/")
            notices, exempt = (f"{place}/{directory}" for directory in directories(self.account))
            asks = part_data(part).get("noticed", "none") != "none"
            if _is_notify(part) or asks:
                read += [notices, exempt]
            if not _is_notify(part):
                # a STOP file is there, or in the account's directory
                tops.append(f"{place}/")
                listed += [] if asks else [notices]
                continue
            written.append(notices)
            # the step that announces nothing does not record who is exempt
            if part_data(part).get("step") not in (None, "created"):
                written.append(exempt)
            if part_data(part).get("digest"):
                written.append(f"{place}/{DIRECTORY}/{self.account}/")
        return Places(written=tuple(written), read=tuple(read), listed=tuple(listed), tops=tuple(tops))

    def center(self) -> str:
        """The ARN of the role for Identity Center; empty if there is none."""
        roles = [part_data(part).get("role") for part in self.parts if needed_in_center(part)]
        found = self._named("role for Identity Center", roles)
        if len(found) > 1:
            raise InvalidPolicyData(
                f"the policies name several roles for Identity Center ({', '.join(found)}): give one as "
                "--identity-center-role"
            )
        for each in found:
            if not is_role_arn(each):
                raise InvalidPolicyData(
                    f"{each!r}, the role for Identity Center of the policies, is not the ARN of a role: correct it "
                    "there or in the accounts file, or give --identity-center-role"
                )
        return next(iter(found), "")

    def _named(self, what: str, values: Iterable[Any]) -> tuple[str, ...]:
        """``values`` with the variables filled in for each account. Raises InvalidPolicyData if one is not defined."""
        return tuple(
            dict.fromkeys(each for value in filter(None, values) for each in self.values.of(what, value))
        )

    def _places(self, part: Any, key: str) -> tuple[str, ...]:
        """The ``s3://`` URLs that ``part`` names as ``key``. Raises InvalidPolicyData."""
        url = part_data(part).get(key)
        found = self.values.places(key, url, self.account) if url else ()
        return tuple(each for each in found if each.startswith("s3://"))


def _queue(part: Any) -> Any:
    return (part_data(part).get("transport") or {}).get("queue")


def _is_notify(part: Any) -> bool:
    from c7n.actions import Notify

    return isinstance(part, Notify)
