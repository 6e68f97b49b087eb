# SPDX-License-Identifier: Apache-2.0
"""Which of the people that intents name may have the access of an IAM user. Pure.

Who can write one intents file can name any person in it, and say that a file of people does. So the side that applies
intents decides by what it has itself: its own file of people, and the account's users as they were read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.identity_center.intents import Intents, UserIntent
from c7n_iamusers.identity_center.model import Person
from c7n_iamusers.identity_center.people import KEYS, Identity, from_email, identify
from c7n_iamusers.identity_center.people_file import PeopleMap, PersonRow
from c7n_iamusers.text.wording import folded, shown

_TAG, _EMAIL = "tag:", " (e-mail)"
_EMAIL_TAGS = ("Email",)
_AGAIN = "run the policies again"


@dataclass(frozen=True)
class PeopleAuthority:
    """What is believed of people in place of intents.

    ``people``: the file whose rows say who a user's person is; None where there is none. ``email_tags``: the keys of
    the tags that hold a user's own e-mail; none for ``Email``. ``username_tags``: those that may hold its
    username; none for any. ``domains``: those of the organization's e-mail; none
    for any. ``trusted``: intents are believed where neither the file nor the account says anything. ``only_file``:
    nobody counts but whom the file names.
    """

    people: PeopleMap | None = None
    email_tags: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    trusted: bool = False
    only_file: bool = False
    username_tags: tuple[str, ...] = ()

    def completed(self, policy: PeopleAuthority) -> PeopleAuthority:
        """With what the policy says where this one says nothing."""
        return replace(
            self,
            people=self.people or policy.people,
            email_tags=self.email_tags or policy.email_tags,
            domains=self.domains or policy.domains,
            only_file=self.only_file or policy.only_file,
            username_tags=self.username_tags or policy.username_tags,
        )

    def checked(self, intents: Intents) -> Intents:
        """``intents`` with the people of the file, and without those who can't be people of the organization.

        From here on ``on_file`` says that the file of this authority names the person.
        """
        return replace(intents, users=tuple(self._checked(user) for user in intents.users))

    def doubt(self, user: UserIntent, detail: Mapping[str, Any]) -> str:
        """Why the user may not stand for its person, in words; empty where it may.

        ``detail``: botocore's ``UserDetail`` as it was read again.
        """
        person = user.person
        if person is None or user.on_file:
            return ""
        if self._says(detail, person.email):
            return self._username_doubt(person, detail)
        tags = f"no tag {shown(self.email_tags or _EMAIL_TAGS)} that says {person.email}"
        if _rests_on_tags(user):
            return f"has {tags}: {_AGAIN}, or, where another tag holds people's e-mails, give --email-tag KEY"
        if self.trusted:
            return ""
        where = f"{self.people.name} has no row for it, it" if self.people else "it"
        return (
            f"is {person.email} by the intents alone (they say: {user.rests_on}): {where} has {tags}, and its name is "
            "another: name it in a file that you give as --people-from, tag it, or, where you trust those who can "
            "write intents, give --trust-intents"
        )

    def _username_doubt(self, person: Person, detail: Mapping[str, Any]) -> str:
        """A username of somebody else would stand in that one's place, and in CloudTrail."""
        keys = {folded(key) for key in self.username_tags}
        tags = [tag for tag in detail.get("Tags") or () if not keys or folded(str(tag["Key"])) in keys]
        told = (person.email, str(detail["UserName"]), *(str(tag["Value"]).strip() for tag in tags))
        if self.trusted or folded(person.username) in map(folded, told):
            return ""
        where = f"tag {shown(self.username_tags)}" if keys else "tag"
        return (
            f"has the username {person.username} by the intents alone: it is not its e-mail, and neither its name nor "
            f"a {where} of it says so: {_AGAIN}, name it in a file that you give as --people-from, or, where you trust "
            "those who can write intents, give --trust-intents"
        )

    def _checked(self, user: UserIntent) -> UserIntent:
        if user.person is None:
            return user
        believed = self.trusted and self.people is None and user.on_file
        identity = Identity(_texts(user.person), dict.fromkeys(KEYS, user.rests_on), on_file=believed)
        subject = user.subject
        if self.people:
            try:
                row = self.people.find(subject.account_id, subject.name)
            except InvalidPolicyData as error:
                return replace(user, person=None, problem=str(error))
            if row is None and self.only_file:
                problem = f"{self.people.name} has no row for it, and the policy's people-from says only: true: add one"
                return replace(user, person=None, problem=problem)
            identity = _of_row(user, row, self.people.name) if row else identity
        (found,) = identify([(subject, identity)], subject.account_id, self.domains)
        checked = replace(
            user,
            person=found.person,
            problem=found.problem,
            rests_on=found.rests_on if found.on_file else user.rests_on,
            on_file=found.on_file,
        )
        return user if checked == user else checked

    def _says(self, detail: Mapping[str, Any], email: str) -> bool:
        """Whether the account itself says so: by a tag for e-mails, or by the user's name."""
        keys = {folded(key) for key in self.email_tags or _EMAIL_TAGS}
        tags = detail.get("Tags") or ()
        told = {folded(str(tag["Value"]).strip()) for tag in tags if folded(str(tag["Key"])) in keys}
        return folded(email) in {*told, folded(str(detail["UserName"]))}


def _of_row(user: UserIntent, row: PersonRow, name: str) -> Identity:
    """The person of a row. What it leaves out of a name is what the intents say, where they mean the same person."""
    claimed, origin = user.person, f"{name}, line {row.line}"
    given = {key: text for key in KEYS if (text := row.texts.get(key))}
    texts = {**from_email(given["email"]), **given}
    if claimed and claimed.key == (folded(texts["username"]), folded(texts["email"])):
        # The policy's run reports there which tags say otherwise.
        origins = dict.fromkeys(KEYS, user.rests_on if user.on_file else origin)
        return Identity({**_texts(claimed), **given}, origins, on_file=True)
    against = (f"the intents, which give {claimed.username} <{claimed.email}>",) if claimed else ()
    return Identity(texts, dict.fromkeys(KEYS, origin), on_file=True, against=against)


def _texts(person: Person) -> dict[str, str]:
    return {key: getattr(person, key.replace("-", "_")) for key in KEYS}


def _rests_on_tags(user: UserIntent) -> bool:
    """Whether the e-mail was found in tags alone, by the words that say where it was found."""
    found = user.rests_on
    if found.endswith(_EMAIL):
        found = found.rpartition(" and ")[2].removesuffix(_EMAIL)
    return all(key.startswith(_TAG) for key in found.split(" or "))
