# SPDX-License-Identifier: Apache-2.0
"""The profiles of a person in ``~/.aws/config``, for the AWS CLI and the SDKs. Pure.

The form is that of ``sso-session`` sections: AWS CLI User Guide, "Configuring IAM Identity Center authentication", and
AWS SDKs and Tools Reference Guide, "IAM Identity Center credential provider". Names of profiles have only letters,
digits and ``_.+@-``, which every SDK takes without quotes. So no name of an account can begin a section or a line, and
none can add a key such as ``credential_process``, which would run a command.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from c7n_iamusers.exceptions import IdentityCenterError, InvalidPolicyData
from c7n_iamusers.execution.outcomes import PROVISIONED, UNCHANGED
from c7n_iamusers.identity_center.model import Instance, PersonKey
from c7n_iamusers.identity_center.output.run_report import Report
from c7n_iamusers.text.wording import folded, quoted

#: Where a run leaves the files, below its output.
PROFILES = "identity-center-profiles"
TEMPLATE = "{account_name}-{permission_set}"
_SESSION = "identity-center"
#: Numbers for names that are equal despite the account's id. There are always enough: names are taken one at a time.
_NUMBERS = range(2, 10_000)
_SCOPES = "sso:account:access"
_KNOWN = frozenset({"account_name", "account_id", "permission_set"})
_VARIABLE = re.compile(r"\{(\w*)\}")
_OTHER = re.compile(r"[^A-Za-z0-9_.+@-]+")
_HEAD = (
    "# Your access through IAM Identity Center, for ~/.aws/config.",
    "# Where that has a section of the same name, replace it.",
    f"# Then run: aws sso login --sso-session {_SESSION}",
)
_URL = r"https://[A-Za-z0-9][A-Za-z0-9./_-]{0,500}"
_REGION = r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}"
_ACCOUNT, _ROLE = r"\d{12}", r"[\w+=,.@-]{1,32}"
_PROFILE = re.compile(rf"^sso_account_id = ({_ACCOUNT})\nsso_role_name = ({_ROLE})$", re.ASCII | re.MULTILINE)
_LINES = tuple(
    re.compile(line, re.ASCII)
    for line in (
        "",
        *map(re.escape, _HEAD),
        re.escape(f"[sso-session {_SESSION}]"),
        rf"sso_start_url = {_URL}",
        rf"sso_region = {_REGION}",
        re.escape(f"sso_registration_scopes = {_SCOPES}"),
        r"\[profile [A-Za-z0-9_.+@-]{1,200}\]",
        re.escape(f"sso_session = {_SESSION}"),
        rf"sso_account_id = {_ACCOUNT}",
        rf"sso_role_name = {_ROLE}",
    )
)


@dataclass(frozen=True, order=True)
class Role:
    """A permission set in an account, as a person chooses it. ``account_name``: empty if unknown."""

    account_id: str
    permission_set: str
    account_name: str = ""


def check_template(template: str) -> None:
    """Raises InvalidPolicyData for a template of profile names with unknown variables or stray braces."""
    unknown = sorted(set(_VARIABLE.findall(template)) - _KNOWN)
    if unknown or set("{}") & set(_VARIABLE.sub("", template)):
        raise InvalidPolicyData(
            f"{quoted(template)} is not a template of profile names: it may have "
            f"{', '.join(f'{{{each}}}' for each in sorted(_KNOWN))} and other text"
        )


def aws_config(portal: str, region: str, roles: Iterable[Role], template: str = TEMPLATE) -> str:
    """The text for ``~/.aws/config``. ``portal``: the URL of the access portal. ``region``: of Identity Center.

    Raises IdentityCenterError for a portal, Region, account or permission set of no known form.
    """
    listed = sorted(set(roles))
    for text, form in (
        (portal, _URL),
        (region, _REGION),
        *((each.account_id, _ACCOUNT) for each in listed),
        *((each.permission_set, _ROLE) for each in listed),
    ):
        if not re.fullmatch(form, text, re.ASCII):
            raise IdentityCenterError(
                f"{quoted(text)} can't be written to a file for ~/.aws/config: it is no URL, Region, account or "
                "permission set of a known form"
            )
    names = _names(listed, template)
    session = [
        f"[sso-session {_SESSION}]",
        f"sso_start_url = {portal}",
        f"sso_region = {region}",
        f"sso_registration_scopes = {_SCOPES}",
    ]
    lines = [*_HEAD, "", *session]
    for each in listed:
        lines += [
            "",
            f"[profile {names[each]}]",
            f"sso_session = {_SESSION}",
            f"sso_account_id = {each.account_id}",
            f"sso_role_name = {each.permission_set}",
        ]
    return "\n".join(lines) + "\n"


def verified_config(text: str, portal: str) -> str:
    """``text``, as ``aws_config`` writes it. Raises IdentityCenterError for any other line or portal.

    Somebody else may have written the file, and whoever pastes a line with ``credential_process`` runs its command.
    """
    lines = text.split("\n")
    other = [line for line in lines if not any(form.fullmatch(line) for form in _LINES)]
    portals = {line for line in lines if line.startswith("sso_start_url")}
    if other or portals != {f"sso_start_url = {portal}"}:
        fault = quoted(other[0]) if other else f"another access portal than {portal}"
        raise IdentityCenterError(
            f"it has {fault}, which no run writes: find out who changed it, and remove it"
        )
    return text


def file_of(username: str, email: str) -> str:
    """The name of a person's file, below PROFILES. It depends only on username and e-mail."""
    key = "\n".join(map(folded, (username, email)))
    return f"{_plain(folded(username))[:64]}-{sha256(key.encode()).hexdigest()[:32]}.config"


def config_files(
    report: Report,
    instance: Instance,
    accounts: Mapping[str, str],
    template: str,
    read: Callable[[list[str]], Mapping[str, str]],
) -> Iterator[tuple[str, str]]:
    """File and content for each person of the run who has access now. Raises IdentityCenterError.

    It has all that the person holds in the accounts that were read. An earlier run's profiles stay for other accounts,
    where access may replace a deleted IAM user's. ``accounts``: id -> name, as far as known. ``read``: the texts of
    those of the files that exist.
    """
    ready = {
        (place, each.arn) for place, each in report.outcomes() if each.status in (PROVISIONED, UNCHANGED)
    }
    roles: defaultdict[PersonKey, set[Role]] = defaultdict(set)
    for claim in report.plan.served:
        if (claim.place, claim.subject.arn) in ready:
            roles[claim.person].update(
                Role(grant.account_id, grant.permission_set, accounts.get(grant.account_id, ""))
                for grant in report.desired.groups[claim.group].grants
                if not report.lacks(claim.group, grant)
            )
    for total in report.totals.values():
        if total.person in roles:
            roles[total.person].update(
                Role(total.account_id, each.set_name, accounts.get(total.account_id, ""))
                for each in total.beyond
                if re.fullmatch(_ROLE, each.set_name, re.ASCII) and re.fullmatch(_ACCOUNT, total.account_id)
            )
    files = {file_of(*key): found for key, found in sorted(roles.items())}
    present = read(list(files))
    for name, found in files.items():
        there = {each.account_id for each in found}
        left = {
            Role(account_id, permission_set, accounts.get(account_id, ""))
            for account_id, permission_set in _earlier_roles(present.get(name, ""), instance.portal)
            if account_id not in there
        }
        yield name, aws_config(instance.portal, instance.region, found | left, template)


def _earlier_roles(text: str, portal: str) -> list[tuple[str, str]]:
    """Account id and permission set of the profiles that a run wrote; none if somebody else has changed the file."""
    try:
        return _PROFILE.findall(verified_config(text, portal))
    except IdentityCenterError:
        return []


def _names(roles: list[Role], template: str) -> dict[Role, str]:
    """A name for each, unique ignoring case; equal names get the account's id."""
    plain = {role: _name(role, template) for role in roles}
    counts, taken = Counter(map(folded, plain.values())), {"default"}
    found = {}
    for each, name in plain.items():
        whole = f"{name}-{each.account_id}"
        tries = (
            *((name,) if counts[folded(name)] == 1 else ()),
            whole,
            *(f"{whole}-{at}" for at in _NUMBERS),
        )
        found[each] = next(text for text in tries if folded(text) not in taken)
        taken.add(folded(found[each]))
    return found


def _name(role: Role, template: str) -> str:
    values = {
        "account_name": _plain(role.account_name) or role.account_id,
        "account_id": role.account_id,
        "permission_set": role.permission_set,
    }
    name = _plain(_VARIABLE.sub(lambda found: values[found.group(1)], template))[:120]
    return name or f"{role.account_id}-{_plain(role.permission_set)}"


def _plain(text: str) -> str:
    """``text`` in letters and digits of ASCII and ``_.+@-``, as near as it can be written."""
    parted = unicodedata.normalize("NFKD", text)
    bare = "".join(each for each in parted if unicodedata.category(each)[0] != "M")
    return _OTHER.sub("-", bare).strip("-.")
