# SPDX-License-Identifier: Apache-2.0
"""Every reason for what becomes of a user: its code, its sentence, what to do, and what owners are told. Pure.

A reason is a code with parameters, and the package decides by these alone. ``text`` makes the sentence for people.
Files hold code and text, and no code reads the text. ``docs/outcomes.md`` is generated from this table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from string import Formatter
from typing import Any

#: What is wrong with a quarantine: somebody undid it in part, or the user is still used.
BROKEN, IN_USE = "broken", "in use"


@dataclass(frozen=True)
class Kind:
    """A row of the table. Called with the parameters of its texts, it is a reason.

    ``sentence``, ``remedy``: what people read, with ``{parameters}``; the remedy follows, and begins with a
    punctuation mark. ``owners``: what the owner of the account is told instead of the sentence; None for the sentence.
    ``quarantine``: what it says of a quarantine: BROKEN, IN_USE or nothing. ``fails``: a user that is left alone for it
    has failed. ``joint``: the punctuation before it as a note. ``meaning``: for the reference, where the sentence is
    not enough.
    """

    code: str
    sentence: str
    remedy: str = ""
    owners: str | None = None
    quarantine: str = ""
    fails: bool = False
    joint: str = "; "
    meaning: str = ""

    @property
    def parameters(self) -> frozenset[str]:
        """The names in its texts."""
        texts = (self.sentence, self.remedy, self.owners or "")
        return frozenset(name for text in texts for _, name, _, _ in Formatter().parse(text) if name)

    def __call__(self, **parameters: Any) -> Reason:
        """The reason. Raises TypeError for other parameters than those of the texts."""
        if self.parameters != parameters.keys():
            raise TypeError(
                f"{self.code} has the parameters {sorted(self.parameters)}, not {sorted(parameters)}"
            )
        return Reason(self.code, tuple(parameters.items()))


@dataclass(frozen=True)
class Reason:
    """``code``: of a row; empty where the status is enough. ``parameters``: name and value; a value may be a reason.

    ``notes``: what else people are told.
    """

    code: str = ""
    parameters: tuple[tuple[str, Any], ...] = ()
    notes: tuple[Reason, ...] = ()

    def and_also(self, *notes: Reason | None) -> Reason:
        """The same reason with further ``notes``."""
        return replace(self, notes=(*self.notes, *filter(None, notes)))

    @property
    def text(self) -> str:
        """What people read."""
        return self._said(False)

    @property
    def for_owners(self) -> str:
        """What owners read: nothing that operators have to do."""
        return self._said(True)

    @property
    def codes(self) -> tuple[str, ...]:
        """The code, and those of the reasons in its parameters and of its notes."""
        within = [value for _, value in self.parameters if isinstance(value, Reason)]
        return (self.code, *(code for each in (*within, *self.notes) for code in each.codes if code))

    @property
    def trouble(self) -> str:
        """What it says of a quarantine: BROKEN, IN_USE or nothing."""
        return trouble_of(self.codes)

    @property
    def fails(self) -> bool:
        """Whether a user that is left alone for it has failed."""
        return any(REASONS[each].fails for each in self.codes if each in REASONS)

    def as_data(self) -> dict[str, Any]:
        """JSON types: ``reason`` (the text), ``code``, and where there are any: ``also``, ``for_owners``.

        ``also``: the further codes. ``for_owners``: their text, if it differs.
        """
        text, owners, also = self.text, self.for_owners, list(self.codes[1:])
        told: dict[str, Any] = {"for_owners": owners} if owners != text else {}
        return {"reason": text, "code": self.code, **({"also": also} if also else {}), **told}

    def _said(self, owners: bool) -> str:
        text = self._sentence(owners)
        for note in self.notes:
            if said := note._said(owners):
                joint = REASONS.get(note.code, REASONS[""]).joint
                text += f"{joint}{said}" if text else said
        return text

    def _sentence(self, owners: bool) -> str:
        kind = REASONS[self.code]
        known = {
            name: each._said(owners) if isinstance(each, Reason) else each for name, each in self.parameters
        }
        template = kind.sentence + kind.remedy
        if owners:
            template = kind.sentence if kind.owners is None else kind.owners
        return template.format(**known)


@dataclass(frozen=True)
class ReadReason(Reason):
    """A reason as a file has it, with the text of the run that wrote it. Its code may be that of another version."""

    said: str = ""
    said_to_owners: str = ""
    also: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """See Reason."""
        return (self.code, *self.also, *(code for each in self.notes for code in each.codes))

    def _sentence(self, owners: bool) -> str:
        return self.said_to_owners if owners else self.said


def codes_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """All codes of a row that ``as_data`` made; the first one is empty where there is none."""
    also = data.get("also")
    return (str(data.get("code") or ""), *(map(str, also) if isinstance(also, list) else ()))


def read_reason(data: Mapping[str, Any]) -> Reason:
    """The reason in a row that ``as_data`` made. A text without a code is a reason without a code."""
    (code, *also), text, owners = codes_of(data), str(data.get("reason") or ""), data.get("for_owners")
    told = text if owners is None else str(owners)
    return ReadReason(code, said=text, said_to_owners=told, also=tuple(also))


def of_class(name: str, user: object, why: object) -> Reason:
    """The reason of an error of the class ``name``: the row with this code, or else FAILED_UNEXPECTEDLY.

    ``why``: its text, which may name the user itself.
    """
    given = {"user": user, "why": why}
    kind = REASONS.get(name, FAILED_UNEXPECTEDLY)
    kind = kind if kind.parameters <= given.keys() else FAILED_UNEXPECTEDLY
    return kind(**{each: given[each] for each in kind.parameters})


def trouble_of(codes: Iterable[str]) -> str:
    """What reasons with these ``codes`` say of a quarantine: BROKEN, IN_USE or nothing. BROKEN is the worse one."""
    found = {REASONS[each].quarantine for each in codes if each in REASONS}
    return next((each for each in (BROKEN, IN_USE) if each in found), "")


def in_words(code: str) -> str:
    """A code in words: ``NotInQuarantine`` is ``not in quarantine``."""
    words = "".join(f" {each.lower()}" if each.isupper() else each for each in code).strip()
    return words or "without a code"


def joined(reasons: Collection[Reason]) -> Reason:
    """The first of ``reasons`` with the others as notes; DONE if there is none."""
    first, *rest = reasons or (DONE,)
    return first.and_also(*rest)


#: Code -> row.
REASONS: dict[str, Kind] = {"": Kind("", "")}
#: Where the status is enough.
DONE = Reason()


def _kind(code: str, sentence: str, remedy: str = "", **more: Any) -> Kind:
    assert code not in REASONS, f"{code} is there twice"
    return REASONS.setdefault(code, Kind(code, sentence, remedy, **more))


_MINUTE = "%Y-%m-%d %H:%M"
_USE_UNKNOWN = "it is not known whether it is still in use"

# --- whose user it is

WRONG_ACCOUNT = _kind(
    "WrongAccount",
    "it was flagged in account {flagged}, but the session acts in {acting}",
    ": check the role of that account in accounts.yml",
)
OTHER_USER = _kind(
    "OtherUser",
    "the name now belongs to another user ({now}; {flagged} was flagged)",
    ": flag again, without c7n's cache (--cache-period 0)",
)
OWN_USER = _kind("OwnUser", "the run itself acts as this user", ": run with a role")
NAME_TAKEN = _kind(
    "UserReplaced", "{user}: the name now belongs to another user ({unique_id}), which is left alone"
)
DENY_NOT_ON_OTHER = _kind("DenyNotOnOtherUser", "our Deny-all is not on it")
DENY_WAS_ON_OTHER = _kind(
    "DenyWasOnOtherUser",
    "our Deny-all was on it for a moment and was removed (it may have replaced a policy of that name)",
)
ATTACHED_DENY_WAS_ON_OTHER = _kind(
    "AttachedDenyWasOnOtherUser",
    "AttachUserPolicy may have attached AWSDenyAll to it, and DetachUserPolicy detached it",
    ": if it had AWSDenyAll before, attach it again",
)
DENY_ON_OTHER = _kind(
    "DenyOnOtherUser", "our Deny-all is on it and could not be removed ({why})", ": remove it by hand"
)
BOUNDARY_ON_OTHER = _kind(
    "BoundaryOnOtherUser",
    "PutUserPermissionsBoundary may have made AWSDenyAll its permissions boundary",
    ": set the one that it should have",
)
OTHER_MAYBE_CHANGED = _kind(
    "OtherUserMaybeChanged",
    "check that user, which these calls may have changed before this was noticed: {calls}",
    owners="calls may have changed that user before this was noticed",
)
NAMESAKE_MAYBE_CHANGED = _kind(
    "NamesakeMaybeChanged",
    "the name {name} now belongs to another user ({unique_id}), which these calls of a stopped run may have changed: "
    "{calls}",
    ": compare that user with what it should have",
    owners="calls of a stopped run may have changed another user, which has the name {name} now",
)
DENY_ON_NAMESAKE = _kind(
    "DenyOnNamesake", "a Deny-all that may be ours is on that user", ": {command} takes it off", owners=""
)
RENAMED = _kind("Renamed", "{user}: renamed to {name} meanwhile", "; run again")
STILL_LISTED = _kind("StillListed", "{user}: ListUsers lists it, but GetUser does not find it", ": run again")
ALREADY_GONE = _kind("AlreadyGone", "already gone")
GONE_MEANWHILE = _kind(
    "GoneMeanwhile", "already gone: somebody else deleted it after {calls} calls of this run"
)
CAME_BACK = _kind("CameBack", "came back: a user of this name was deleted on {at:%Y-%m-%d}")
DELETED_BY_OTHERS = _kind(
    "DeletedByOthers", f"somebody else deleted it: the run of {{at:{_MINUTE}}} UTC no longer found it"
)

# --- who is spared

COMPROMISED = _kind(
    "Compromised",
    "AWS attached {policy}, so one of its keys leaked",
    ": investigate before the evidence is deleted",
)
EXEMPT = _kind("Exempt", "exempt by {field} {pattern} until {expires}: {why}")
EXEMPT_WHEN_SEEN = _kind("ExemptWhenSeen", "{why}", meaning="a rule exempts it, by the last run that saw it")
LEFT_OUT = _kind(
    "LeftOut",
    "{by}",
    meaning="the filter `unnecessary` left it out because of this option, or because this could not be read",
)
ACTIVE = _kind("Active", "active within {days:g} days: {use}")
TRUSTED = _kind(
    "TrustedByRole",
    "a role trusts it: {roles}",
    ": remove it from the role's trust policy, or set trusted-by-role: true (the role would not trust it after a "
    "restoration)",
)
TRUST_UNKNOWN = _kind("TrustUnknown", "it is unknown whether a role trusts it: {why}")
MANAGED_AS_CODE = _kind(
    "ManagedAsCode",
    "{what}",
    "; or set include-managed: true",
    owners="{what}",
    meaning="a stack, a Terraform state or another tool manages it, by its tags or by what `managed-by` asks",
)
MANAGED_UNKNOWN = _kind(
    "ManagedUnknown",
    "it is unknown whether code manages it: {why}",
    "; include-managed: true accepts that",
    owners="it is unknown whether code manages it",
)
MANAGED_NEVERTHELESS = _kind("ManagedNevertheless", "{what}", meaning="it was deleted all the same")
MANAGED_DRIFT = _kind("ManagedDrift", "the next deploy may undo this: {what}")
KIND_NOT_TAKEN = _kind(
    "KindNotTaken",
    "AWS does not report when its Bedrock API key is used, so this tool leaves it alone",
    ": replace the key, then delete the user by hand",
    owners="AWS does not report when its Bedrock API key is used, so it is neither denied nor deleted",
)
TAGS_CHANGED = _kind(
    "TagsChanged",
    "its tags {tags}, which name its person, changed after its access was checked",
    ": run again",
)
ACCESS_NOT_READ = _kind("AccessNotRead", "its access through Identity Center was not read", ": run again")
NO_ACCESS = _kind(
    "NoAccess",
    "its access through Identity Center is {state}: {why}",
    owners="its person's access through Identity Center is {state}",
)
NOT_PROVISIONED = _kind("NotProvisioned", "its replacement in Identity Center is {status}: {why}")
KIND_UNKNOWN = _kind("KindUnknown", "its kind can't be determined on live data: {why}")
NO_LONGER_SELECTED = _kind(
    "NoLongerSelected",
    "on live data, the filter unnecessary no longer selects it (kind {kind}{since})",
    ": flag again",
    owners="it has changed, and no longer counts as unnecessary",
)
CHANGED_SINCE_EVENT = _kind(
    "ChangedSinceEvent",
    "a run changed it after the event: an event delivered twice changes nothing",
)

# --- who was told

NOT_ANNOUNCED = _kind(
    "NotAnnounced",
    "its owners were not addressed: {place} has no announcement of it that still counts",
    "; run the policy with the action notify-owners",
    owners="its owners were not addressed",
)
EXEMPT_SINCE_ANNOUNCED = _kind(
    "ExemptSinceAnnounced",
    "it was {exempt}, and was not announced since",
    ": to keep it, restore its {lost} or exempt it again; to delete it, run the policy with the action notify-owners, "
    "which announces it again",
)
MESSAGE_EXPIRED = _kind(
    "MessageExpired",
    "its message may have expired unread: announced {sent}, and nothing shows that the message left its queue before "
    f"{{expires:{_MINUTE}}} UTC ({{found}})",
    "; run the policy with the action notify-owners, which announces it again",
)
MESSAGE_WAITS = _kind(
    "MessageWaits",
    "its message may still be in the queue: announced {sent}, and {found}",
    ". If SQS can't tell, set delivery: unchecked in this action",
)
ANNOUNCED_LATELY = _kind("AnnouncedLately", "announced less than {days:g} days ago: {sent}")
BEFORE_ITS_DAY = _kind("BeforeItsDay", "its day is yet to come: announced {sent} for {day}")
BEFORE_ITS_STOP = _kind(
    "BeforeItsStop",
    "the day on which its credentials stop working is yet to come: announced {sent}, with {stop}",
)

BROWNOUT_NOT_ANNOUNCED = _kind(
    "BrownoutNotAnnounced",
    "its owners were not told of a brownout: announced {sent} without one",
    ": add brownout-after to notify-owners, step: announce; it applies to users that are announced from then on",
    owners="its owners were not told of a brownout",
)
BEFORE_ITS_BROWNOUT = _kind(
    "BeforeItsBrownout", "the day of its brownout is yet to come: announced {sent}, with {day}"
)

# --- what its quarantine says

NOT_IN_QUARANTINE = _kind(
    "NotInQuarantine",
    "not in quarantine: neither its Deny-all nor the available journals show one",
    ": run the action quarantine first: the days count from then; if another output has its record, name that output "
    "in record-from",
    owners="it is not in quarantine",
)
NOTHING_TO_RELEASE = _kind("NothingToRelease", "not in quarantine", owners="it is not in quarantine")
QUARANTINE_TOO_SHORT = _kind(
    "QuarantineTooShort", f"in quarantine for less than {{days:g}} days: since {{since:{_MINUTE}}} UTC"
)
USED_IN_QUARANTINE = _kind(
    "UsedInQuarantine",
    f"still in use in its quarantine since {{since:{_MINUTE}}} UTC: {{use}}",
    quarantine=IN_USE,
)
_NO_LONGER_HOLDS = f"its quarantine of {{since:{_MINUTE}}} UTC no longer holds ({{how}})"
QUARANTINE_UNDONE = _kind(
    "QuarantineUndone", _NO_LONGER_HOLDS, ": find out who undid it", quarantine=BROKEN, fails=True
)
CREDENTIALS_ACTIVATED = _kind(
    "CredentialsActivated", _NO_LONGER_HOLDS, ": find out who undid it", quarantine=BROKEN
)
QUARANTINE_AGAIN = _kind("QuarantineAgain", "", "quarantine it again: the days count anew", joint=", and ")
DEACTIVATE_TO_COMPLETE = _kind(
    "DeactivateToComplete",
    "",
    "a quarantine with credentials: deactivate completes it, and the days count anew",
)
QUARANTINED_AGAIN = _kind(
    "QuarantinedAgain", "It was put in quarantine again, and the days count from now", joint=". "
)
NOT_QUARANTINED_AGAIN = _kind("NotQuarantinedAgain", "It was not put in quarantine again: {why}", joint=". ")
ATTEMPTED = _kind(
    "Attempted",
    "calls since {since}: {call}",
    ": find out who calls as this user, then give it an exemption or release it; once nobody calls any more, "
    "quarantine it anew",
    quarantine=IN_USE,
)
ATTEMPTS_MISSING = _kind(
    "AttemptsMissing",
    "the filter attempts did not say whether it is still in use",
    ": run it after unnecessary",
    owners=_USE_UNKNOWN,
)
USE_UNKNOWN = _kind("UseUnknown", "it is unknown whether it is still in use: {unread}", owners=_USE_UNKNOWN)
NOT_PROVEN_UNUSED = _kind(
    "NotProvenUnused", "nothing proves that it is unused: {gaps}", "; quiet: none-seen accepts that"
)
LISTENED_TOO_LATE = _kind(
    "ListenedTooLate",
    f"the filter attempts covers calls since {{begun}}, but its quarantine began on {{since:{_MINUTE}}} UTC",
    ": run again; if the policy has a second filter attempts with a different since, remove it",
    owners=_USE_UNKNOWN,
)
#: The codes that say only that a user is not in quarantine.
NO_QUARANTINE = frozenset({NOT_IN_QUARANTINE.code, NOTHING_TO_RELEASE.code})
IN_QUARANTINE = _kind(
    "InQuarantine",
    f"in quarantine since {{since:{_MINUTE}}} UTC: AWS reports no use since, which does not prove that there was none",
)
IN_QUARANTINE_AND_USED = _kind(
    "InQuarantineAndUsed",
    f"in quarantine since {{since:{_MINUTE}}} UTC, and used since: {{use}}",
    quarantine=IN_USE,
)
LOST_SINCE = _kind(
    "LostSince",
    "since then it has lost {lost}: a deletion with another output may be half-way. Until that is settled, deletions "
    "and releases leave it alone",
)

# --- what a quarantine or a brownout did

CREDENTIALS_KEPT = _kind("CredentialsKept", "its credentials stay active under the Deny-all")
ALREADY_DEACTIVATED = _kind(
    "AlreadyDeactivated",
    "its credentials are deactivated already; credentials: keep activates none, but release does",
)
SESSION_WORKS = _kind(
    "SessionWorks", "its console password still works, but the Deny-all denies everything in that session"
)
NOTHING_DENIED = _kind("NothingDenied", "{what} still work, as nothing denies what they do")
SESSIONS_ENDED = _kind(
    "SessionsEnded",
    "{count} of its sign-in sessions can't be refreshed; credentials that they issued stay valid, under the Deny-all",
)
SESSIONS_NOT_ENDED = _kind("SessionsNotEnded", "its sign-in sessions were not ended: {why}")
SOME_SESSIONS_NOT_ENDED = _kind(
    "SomeSessionsNotEnded", "{count} of its sign-in sessions were not ended: {why}"
)
ACTIVE_UNDER_DENY = _kind(
    "ActiveUnderDeny",
    "{user}: {which} is active under its Deny-all: somebody created or activated it during this run",
    ": run again",
)
QUARANTINE_NOT_SHOWN = _kind(
    "QuarantineNotShown",
    "{user}: it is not in quarantine as it should be: AWS does not show what {calls} changed",
    ": check whether it was released during this run; then quarantine it again, or release it and activate its "
    "credentials",
)
GIVEN_BY_OTHERS = _kind(
    "GivenByOthers",
    "{which}: not on record as active before the quarantine began, so somebody may have created or activated it since: "
    "{state}",
    ": find out who did",
)
DEACTIVATED_WITHOUT_DENY = _kind(
    "DeactivatedWithoutDeny",
    "{why}. Its active credentials were deactivated nevertheless: {which}",
)
UNEXPLAINED_DENY = _kind(
    "UnexplainedDeny",
    "{user}: {policy} on this new user says that this tool put it on, but no journal here shows that",
    ": find out who did, remove it, and quarantine the user",
)
DELETION_IN_PROGRESS = _kind(
    "DeletionInProgress",
    "{user}: a deletion of it began {begun} and is in progress or was stopped",
    ": run its policy again to finish it, or c7n-iamusers restore OUTPUT --user {name}",
)
DENY_KEEPS_CHANGING = _kind(
    "DenyKeepsChanging",
    "{user}: its permissions boundary or its inline Deny-all keeps changing",
    ": find out who changes it, and run again",
)
MAYBE_DENIED = _kind(
    "MaybeDenied", "it is not known whether our Deny-all is on it", ": check, and release it"
)
IN_QUARANTINE_ALREADY = _kind(
    "InQuarantineAlready", f"in quarantine since {{since:{_MINUTE}}} UTC: its Deny-all does not end by itself"
)
NO_BROWNOUT = _kind("NoBrownout", "no brownout: {why}")
DENIED_ALREADY = _kind(
    "DeniedAlready", "it already has a Deny-all that does not end by itself", ": find out who put it on"
)
BROWNOUT_POLICY_CHANGED = _kind(
    "BrownoutPolicyChanged",
    "somebody changed its inline policy {policy}, which a brownout would replace",
    ": remove it or rename it",
)
NO_ROOM_FOR_BROWNOUT = _kind(
    "NoRoomForBrownout",
    "its inline policies fill their quota of {quota} characters, and only an inline Deny ends by itself",
    ": make room",
)
IN_BROWNOUT = _kind("InBrownout", "in a brownout until {end:%Y-%m-%d %H:%M:%S} UTC")
BROWNED_OUT_UNTIL = _kind(
    "BrownedOutUntil", "until {end:%Y-%m-%d %H:%M:%S} UTC, when its Deny-all ends by itself"
)
BROWNOUT_PASSED = _kind(
    "BrownoutPassed",
    "{user}: its brownout was to end at {end:%Y-%m-%d %H:%M:%S} UTC, which had passed when this run went on",
    ": run again, on a machine that does not sleep",
)

# --- what a release did

BROWNOUT_ENDED = _kind("BrownoutEnded", "from its brownout until {end:%Y-%m-%d %H:%M:%S} UTC")
BROWNOUT_NOT_SHOWN = _kind(
    "BrownoutNotShown", "{user}: AWS does not show that its brownout is over", ": run again"
)
DENY_CHANGED = _kind(
    "DenyChanged",
    "{user}: its permissions boundary or its inline Deny-all was changed during this run, outside it",
    ": check it, and run again",
)
NOT_RELEASED = _kind("NotReleased", "{user}: {why}", meaning="nothing was released")
DELETION_BEGUN = _kind(
    "DeletionBegun",
    "{user}: a deletion of it began {begun}, and a release does not restore what that removed",
    ": run c7n-iamusers restore OUTPUT --user {name}. Nothing was changed",
)
DENY_PUT_ON_SINCE = _kind(
    "DenyPutOnSince",
    f"{{user}}: this tool removed its inline Deny-all at {{lifted:{_MINUTE}}} UTC; somebody has since put one on that "
    f"bears an earlier time",
    ": find out who, and remove it by hand. Nothing was changed",
)
BOUNDARY_UNKNOWN = _kind(
    "BoundaryUnknown",
    "AWSDenyAll is its permissions boundary, and no record here says who set it or what it replaced",
    ". The record is in the output of the run that set it (journal.jsonl): name that output in record-from, or set "
    "the boundary by hand. Nothing was changed",
)
BOUNDARY_DISPUTED = _kind(
    "BoundaryDisputed",
    "{user}: a journal says that AWSDenyAll replaced {told} as its permissions boundary, but the last snapshot from "
    "before that has {shown}: somebody may have changed the outputs. Nothing further was touched",
    ": find out who did, and set by hand the boundary that the user had",
)
SNAPSHOT_MISSING = _kind(
    "SnapshotMissing",
    "{user}: a journal says that a run wrote {which}, but no file with that content is there: somebody may have "
    "removed or changed it. Nothing further was touched",
    ": find out who did, and put it back, from a backup or an earlier version in the bucket; if it is gone for good, "
    "run c7n-iamusers user NAME --gone-for-good SNAPSHOT",
)
DENY_REWRITTEN = _kind(
    "DenyRewritten",
    "its inline policy {policy}, which somebody else wrote or changed, still denies",
    ". It is not what this quarantine put on, so it stays: find out who changed it; remove what is not the "
    "quarantine's, or the whole policy, by hand, and release again. Nothing was changed",
)
ACTIVATED_SINCE = _kind(
    "ActivatedSince",
    "{which}: active, and not active when the quarantine began, so somebody created or activated it since",
    ". Without the Deny-all it could be used: find out who did; deactivate or delete it, and release again. Nothing "
    "was changed",
)
USED_SINCE_DEACTIVATED = _kind(
    "UsedSinceDeactivated",
    "{which}: used after its quarantine deactivated it. So somebody activated it, and AWSDenyAll may be somebody "
    "else's by now",
    ": ask the user's holder; then remove AWSDenyAll and activate what is needed, by hand. Nothing was changed",
)
_HALF_DELETED = (
    ": a deletion with another output may have begun: restore it from that output (c7n-iamusers restore --user), or "
    "find out who removed this and put it back"
)
LOST_IN_QUARANTINE = _kind(
    "LostInQuarantine",
    f"since its quarantine of {{since:{_MINUTE}}} UTC it has lost {{lost}}",
    f"{_HALF_DELETED}, or set adopt: true. Nothing was changed",
)
DENY_LOST_IN_QUARANTINE = _kind(
    "DenyLostInQuarantine",
    f"since its quarantine of {{since:{_MINUTE}}} UTC it has lost {{lost}}, some of which may have denied it something",
    f"{_HALF_DELETED}. Nothing was changed",
)
DENY_BESIDE = _kind(
    "DenyBesideQuarantine",
    "{deny}, no journal here shows who put it on, and no snapshot here shows its quarantine: a deletion with another "
    "output may have begun",
    ": name that output, or the one of the quarantine, in record-from. Nothing was changed",
)
ACTIVATION_NOT_SHOWN = _kind(
    "ActivationNotShown",
    "{user}: AWS does not show what {calls} activated: its Deny-all stays on",
    ": run again",
)
_NOT_OURS = (
    "no record here shows that this tool put it on, so it stays: if it did, name the output of that run in record-from "
    "and release again; otherwise, find out who did"
)
STILL_DENIED = _kind(
    "StillDenied",
    "{user}: {left}",
    f": {_NOT_OURS}. All but what is named here was undone",
    meaning="it is released, and still denied: {left}",
)
ONLY_BROWNOUT_ENDED = _kind(
    "OnlyBrownoutEnded",
    "{user}: {left}",
    f": {_NOT_OURS}. Only its brownout was ended",
    meaning="its brownout is ended, and it is still denied: {left}",
)
DENIED_BY_OTHERS = _kind(
    "DeniedByOthers", "the records here show no quarantine, but {left}", f": {_NOT_OURS}"
)
RELEASE_NOT_SHOWN = _kind(
    "ReleaseNotShown", "{user}: AWS does not show what these calls changed: {calls}", ": run again"
)
DEACTIVATED_BY_OTHERS = _kind(
    "DeactivatedByOthers",
    "{user}: {which} was deactivated by others during this run, maybe by a quarantine",
    ": find out who did, and activate it by hand: no Deny-all is left that records what was active",
)
NO_RECORD = _kind(
    "NoRecord",
    "{user}: {what}, and neither its Deny-all nor an available journal says what was active before, so {changed}",
    ". The record is in the output of the quarantine's run (journal.jsonl): name that output in record-from. If it is "
    "lost, activate what the user needs, then remove the Deny-all, by hand. Inactive now: {inactive}",
)
POLICY_STAYS = _kind("PolicyStays", "its inline policy {policy} is not this tool's, or was changed: it stays")
_STAY = "; they stay inactive: {which}"
_BY_HAND = "; activate by hand the ones that are needed"
#: Of credentials that stay inactive.
UNKNOWN_SINCE = "Somebody else may have activated them since, and deactivated them for another reason"
JOURNAL_MISSING = _kind(
    "JournalMissing",
    f"the journal of the quarantine of {{since:{_MINUTE}}} UTC is missing, so it is unknown what was active before "
    f"it{_STAY}",
    _BY_HAND,
)
DENY_REMOVED = _kind(
    "DenyRemoved",
    f"the Deny-all of {{since:{_MINUTE}}} UTC was removed or changed by somebody else. These were active before it. "
    f"{UNKNOWN_SINCE}{_STAY}",
    _BY_HAND,
)
DEACTIVATED_EARLIER = _kind(
    "DeactivatedEarlier",
    f"this tool deactivated these under an earlier quarantine, before that of {{since:{_MINUTE}}} UTC. "
    f"{UNKNOWN_SINCE}{_STAY}",
    _BY_HAND,
)
GIVEN_UNDER_QUARANTINE = _kind(
    "GivenUnderQuarantine",
    f"somebody else created or activated these under the quarantine of {{since:{_MINUTE}}} UTC{_STAY}",
    _BY_HAND,
)
TAKEN_AGAIN = _kind(
    "TakenAgain",
    f"these became active again, and somebody else has deactivated them since{_STAY}",
    _BY_HAND,
)
NOT_PROVEN_OURS = _kind(
    "NotProvenOurs",
    f"these were active before the quarantine of {{since:{_MINUTE}}} UTC, but no journal here shows that this tool "
    f"deactivated them: somebody else may have, as after a leak{_STAY}",
    _BY_HAND,
)
ONLY_IN_A_JOURNAL = _kind(
    "OnlyInAJournal",
    f"a journal says that this tool deactivated these under the quarantine of {{since:{_MINUTE}}} UTC, but neither the "
    "record in its Deny-all nor the last snapshot from before it does: somebody else may have deactivated them, as "
    f"after a leak, and changed the journal{_STAY}",
    _BY_HAND,
)
UNKNOWN_BEFORE = _kind(
    "UnknownBefore",
    f"no journal of the quarantine of {{since:{_MINUTE}}} UTC is here, so it is unknown whether these were active "
    f"before it{_STAY}",
    _BY_HAND,
)

# --- what a deletion did

PLANNED_CALLS = _kind("PlannedCalls", "{count} calls")
NOT_IN_PLAN = _kind("NotInPlan", "it is not in the reviewed plan")
SKIPPED_BY_PLAN = _kind("SkippedByPlan", "the reviewed plan skips it: {why}")
CHANGED_SINCE_PLAN = _kind(
    "ChangedSincePlan", "it has changed since the plan was made", ": plan and review it again"
)
NOT_REVIEWED = _kind(
    "NotReviewed",
    "{operation} would be called now, which was not reviewed",
    ": plan and review it again",
)
PLAN_UNREADABLE = _kind("PlanUnreadable", "its plan could not be read again: {why}", ": delete it by hand")
POLICIES_UNREAD = _kind(
    "PoliciesUnread",
    "its policies can't be read ({why}), so a restoration could not tell whether they give it more than it had",
    ": allow {permissions} to the role, and run again",
)
BEGUN_ELSEWHERE = _kind(
    "BegunElsewhere",
    "a deletion of it began {begun} with another output, and is in progress or was stopped",
    ": run that policy again with that output, or set adopt: true if that output is lost",
)
BOUNDARY_KEEPS_CHANGING = _kind("BoundaryKeepsChanging", "its permissions boundary keeps changing")
DENY_KEEPS_GOING = _kind(
    "DenyKeepsGoing",
    "somebody keeps removing its Deny-all, so groups and policies that may deny it something are not removed",
)
LISTED_AND_GONE = _kind(
    "ListedAndGone",
    "AWS lists attachments of it, but says that they are gone when asked to remove them",
)
STOPPED_HALF_WAY = _kind("StoppedHalfWay", "{user}: stopped after {calls} calls: {why}")
LEFT_UNFINISHED = _kind("LeftUnfinished", "{user}: its deletion began {begun}, and is left unfinished: {why}")
DELETED_EARLIER = _kind("DeletedEarlier", "by an earlier run, which ended before it recorded that")
DELETED_BY_STOPPED_RUN = _kind("DeletedByStoppedRun", "by a run that was stopped at {at} UTC")
DELETED_WITHOUT_ANSWER = _kind(
    "DeletedWithoutAnswer", "DeleteUser was sent at {at} UTC, no answer came, and the user is gone"
)
SESSION_STILL_OPEN = _kind(
    "SessionStillOpen",
    "its Deny-all could not be put on again ({why}), so an open session of it still works",
    ": run again",
)
_TO_FINISH = ": run again to finish, or run c7n-iamusers restore OUTPUT --user {name} to restore them"
LOCKED_OUT_HALF_WAY = _kind(
    "LockedOutHalfWay",
    "it is locked out by our Deny-all, and {count} of its attachments are removed",
    f"{_TO_FINISH} and to remove the Deny",
)
QUARANTINED_HALF_WAY = _kind(
    "QuarantinedHalfWay",
    "it is locked out by our Deny-all, and {count} of its attachments are removed",
    f"{_TO_FINISH}; its quarantine stays on until release ends it",
)
FREE_HALF_WAY = _kind(
    "FreeHalfWay", "no Deny-all is on it, and {count} of its attachments are removed", _TO_FINISH
)

# --- what kept it from being processed

SNAPSHOT_NOT_DURABLE = _kind(
    "SnapshotNotDurable",
    "{user}: no durable snapshot in {place} ({why}): nothing further was touched",
    "; make that place writable, move a broken snapshot away, and run again",
)
JOURNAL_UNREADABLE = _kind(
    "JournalUnreadable",
    "{user}: a journal can't be read ({why}), so it is not known what earlier runs did to it: nothing further was "
    "touched",
    "; make it readable, and run again",
)
SNAPSHOT_CHANGED = _kind("SnapshotChanged", "{user}: a snapshot of it in {place}: {why}")
SNAPSHOT_UNREADABLE = _kind(
    "NotRestorable",
    "it could not be restored: its snapshot can't be read again ({why})",
    ": correct its policies or those of its groups, and run again",
)
RESTORATION_IN_PROGRESS = _kind(
    "RestorationInProgress",
    "{user}: c7n-iamusers restore made it (journal: {journal}) and has not ended, so it may lack a Deny that it had. "
    "Nothing further is touched",
    ": run c7n-iamusers restore again with --user {name} and the output of that journal; or, to give its restoration "
    "up, set adopt: true: the snapshot is then partial",
)
FOREIGN_DENY = _kind(
    "ForeignDeny",
    "{user}: {deny}, and no journal of this output or of those beside it shows that this tool put it on: somebody else "
    "did, or a deletion with another output is half-way, and the user may lack a Deny that it had. Nothing further "
    "is touched",
    ": run with that output; if somebody else put it on, exempt the user or take it off; or set adopt: true: the "
    "snapshot is then partial",
)
LOST_UNEXPLAINED = _kind(
    "LostUnexplained",
    f"{{user}}: since its quarantine of {{since:{_MINUTE}}} UTC it has lost {{lost}}, "
    "and no journal of this output or of those beside it shows that this tool removed it: a deletion with another "
    "output may be half-way. Nothing further is touched",
    ": run with that output; if somebody else removed this, put it back; or set adopt: true: the snapshot is then "
    "partial",
)
RESTORATION_UNFINISHED = _kind(
    "RestorationUnfinished",
    "{user}: a restoration of it stopped at {at} UTC, after {calls} calls: the user has only part of what it had, and "
    "may be locked out by our Deny-all",
    ": run c7n-iamusers restore again; where AWS refuses a part for good, give --without",
)
BEFORE_ITS_TURN = _kind("BeforeItsTurn", "{signal} before its turn", ": run again")
INTERRUPTED = _kind("Interrupted", "{user}: {signal} after {calls} calls", ": run again")
RUN_STOPPED = _kind(
    "RunStopped",
    "{user}: a run that began on it was stopped at {at} UTC, after {calls} calls",
    ": run again, or look at the journal; if it was being deleted, our Deny-all locks it out until then",
)
CALL_FAILED = _kind(
    "CallFailed",
    "{why}",
    "; fix the cause and run again",
    meaning="AWS refused a call, or no answer says whether it was made: `call` and `error` have the call and its code",
)
AWS_ERROR = _kind("AwsError", "{user}: {why}; nothing further was touched")
STOPPED = _kind(
    "Stopped",
    "the file {file} stops every destructive action: the user was not touched",
    ". Remove the file and run again",
)
READING_OUTDATED = _kind(
    "ReadingOutdated",
    "{user}: at each attempt to change it, its last read was more than {seconds:.0f} seconds old: AWS is slow, or "
    "throttles the calls of this account",
    ": run again later",
)
EVIDENCE_UNREADABLE = _kind(
    "EvidenceUnreadable", "{user}: {why}", meaning="something that the decision rests on could not be read"
)
GROUPS_NOT_READ = _kind(
    "GroupsNotRead", "{user}: its groups were not read, so rules by group can't be applied"
)
NOTICES_UNREADABLE = _kind(
    "NoticesUnreadable", "{user}: {why}", meaning="the record of who was addressed can't be read"
)
SNAPSHOT_REFUSED = _kind(
    "SnapshotRefused", "{user}: {why}", meaning="there is no durable snapshot, so nothing was changed"
)
JOURNAL_REFUSED = _kind(
    "JournalRefused",
    "{why}",
    meaning="a line of the journal could not be made durable, so its call was not made",
)
RUN_LOCK_LOST = _kind("RunLockLost", "{user}: {why}", meaning="another run may have begun in the same output")
USER_IN_USE = _kind(
    "UserInUse", "{user}: {why}", meaning="another run, or a restoration, works on it just now"
)
ANSWER_LOST = _kind("AnswerLost", "{user}: {why}", meaning="an id that a further call needs is not known")
AWS_UNREACHABLE = _kind(
    "AwsUnreachable", "{user}: {why}", meaning="AWS could not be reached, or its answer could not be read"
)
DENY_REFUSED = _kind(
    "DenyRefused",
    "{user}: no Deny-all can be put on it, and nothing is removed without one: {causes}",
    ". What to do: {remedies}",
)
FAILED_UNEXPECTEDLY = _kind(
    "Unexpected", "{user}: {why}", meaning="an unexpected error: the log has the details"
)

# --- what became of access through Identity Center

INTENDED = _kind("Intended", "{user}: see {file}")
HAS_ACCESS = _kind("HasAccess", "{username} ({who}) is in group {group}, which has {grant}")
VERDICT = _kind(
    "Verdict", "{verdict}", meaning="how all access of the person compares with the IAM user's permissions"
)
HOLDS_MORE = _kind("HoldsMore", "{verdict}: also holds {further}")
NOT_REMOVED = _kind(
    "NotRemoved",
    "keeps {further}, which is no longer requested and was not removed: {why}",
    meaning="a removal failed, or waits for other access that failed",
)
CHANGE_FAILED = _kind(
    "ChangeFailed",
    "{user}{why}{left}",
    ": correct that and run again",
    meaning="a change in Identity Center that its access needs failed; `error` has AWS's code",
)
AWAITED = _kind("Awaited", "{user}: {why}", meaning="it waits for the owner of the identity provider")
_ASK = ": ask the owner of the identity provider to"
USER_AWAITED = _kind(
    "UserAwaited",
    "no user in Identity Center has username {username}",
    f"{_ASK} add {{username}} <{{email}}> ({{name}}), and to put them into group {{group}}",
)
GROUP_AWAITED = _kind(
    "GroupAwaited", "there is no group {group} in Identity Center", f"{_ASK} add it, with {{username}} in it"
)
MEMBERSHIP_AWAITED = _kind(
    "MembershipAwaited", "{username} is not in group {group}", f"{_ASK} put them into it"
)
# where a sentence is {why} alone, the check that refuses says why, and what to do
NO_WORKING_CREDENTIALS = _kind(
    "NoWorkingCredentials",
    "{user}: has no working credentials (by the credential report of {as_of}): no console password, no active access "
    "key or signing certificate, so nobody can use what its policies allow",
    ": find out whether its person still works here",
)
ONE_SERVICE_CREDENTIALS = _kind(
    "OneServiceCredentials",
    "{user}: all of its working credentials are for one service alone ({services}; by the credential report of "
    "{as_of}), so "
    "it can't use the rest of what its policies allow",
    ": make a permission set for that by hand",
)
CREDENTIALS_NOT_LISTED = _kind(
    "CredentialsNotListed",
    "{user}: it is unknown whether it has working credentials: its intents list none",
    ": run the policy again",
)
CREDENTIALS_UNKNOWN = _kind(
    "CredentialsUnknown",
    "{user}: it is unknown whether it has working credentials ({which}): {why}",
    ": allow iam:GetCredentialReport, iam:GenerateCredentialReport, iam:ListServiceSpecificCredentials and "
    "iam:ListVirtualMFADevices to the role that reads the account, and run again; a user that was created after the "
    "credential report is in the next one, in at most four hours",
)
POLICIES_UNKNOWN = _kind("PoliciesUnknown", "{user}: {why}", meaning="its policies could not be read")
QUARANTINED = _kind(
    "Quarantined", "{user}: {why}", meaning="it is in quarantine, or a policy denies it every action"
)
NOT_DERIVED = _kind(
    "NotDerived",
    "{user}: {why}",
    owners="no role can be made from its policies as they are, so its access has to be made by hand",
    meaning="no permission set could be derived from its policies",
)
NOT_PROVEN = _kind(
    "NotProven",
    "{user}: {why}",
    owners="it is not proven that the role made from its policies allows no more than they do, so nobody got it yet",
    meaning="its permission set was not proven to allow no more than its policies",
)
INVALID_PERSON = _kind("InvalidPerson", "{user}: {why}", meaning="it is not known who its person is")
CONFLICT = _kind("Conflict", "{user}: {why}", meaning="two requests contradict each other")
NOT_PLANNED = _kind(
    "IdentityCenterError",
    "{user}: {why}",
    meaning="Identity Center is not in the state that the access needs",
)
LEFTOVERS = _kind(
    "Leftovers", "{user}: {why}", meaning="its permission set has parts that Terraform would leave"
)
SPELLED_OTHERWISE = _kind(
    "SpelledOtherwise",
    "{user}: Identity Center spells its person's username {known}, the intents {asked}. With {known}, permission set "
    "{set} is {verdict}{example}, because a policy or a session tag depends on the spelling",
    ": spell it {known} where the policy reads it, and run again",
)
SPELLED_OTHERWISE_IN_GROUP = _kind(
    "SpelledOtherwiseInGroup", "{user}: group {group} gives other access, too: {why}"
)
ACCEPTABLE = _kind(
    "Acceptable",
    "",
    "if its person is to have access all the same, name it in accept: [...] with verdict: {verdict}",
)
ACCEPTANCE_EXPIRED = _kind("AcceptanceExpired", "the acceptance ({remark}) expired on {expires}")
REQUESTED_BY = _kind("RequestedBy", "", "(requested by {place})", joint=" ")

# --- why a membership that is not requested stays

_MADE = "an earlier run made the membership"
_MADE_FOR_NOBODY = f"{_MADE} for IAM users that have no intents now, or are refused"
_MADE_OF_SHARED = f"{_MADE} of this shared group for IAM users that have no intents now"
_NOBODYS = "the membership is not requested, and"
_UNJUDGED = "that were refused because evidence is missing or wrong ({users})"
_JUDGE = ": correct that and run again; until then no option removes it"
_OTHERS = "the group also has {grants}, which no run assigned and which would end"
_FIND_OUT = (
    ": find out who assigned it, and remove it or give it by another group; until then no option removes the "
    "membership"
)
FORMER = _kind(
    "Former",
    _MADE_FOR_NOBODY,
    ": it may be the only access of their people: provision prune removes it with --unrequested --lock-out, or, if "
    "these users are deleted, with --former DAYS",
)
FORMER_AND_GONE = _kind(
    "FormerAndGone",
    f"{_MADE} for IAM users that are deleted, quarantined, or no longer found by the policies: it replaces their "
    f"access",
)
FORMER_UNJUDGED = _kind("FormerUnjudged", f"{_MADE} for IAM users {_UNJUDGED}", _JUDGE)
MEMBER_UNJUDGED = _kind(
    "MemberUnjudged",
    f"{_NOBODYS} no run with results here made it; it may replace the access of IAM users {_UNJUDGED}",
    _JUDGE,
)
FORMER_AND_OTHERS = _kind("FormerAndOthers", f"{_MADE}, and {_OTHERS}", _FIND_OUT)
MEMBER_AND_OTHERS = _kind("MemberAndOthers", f"{_NOBODYS} {_OTHERS}", _FIND_OUT)
UNKNOWN_ORIGIN = _kind(
    "UnknownOrigin",
    f"{_NOBODYS} no run with results here made it",
    ": find out who did; provision prune --unrequested --lock-out removes it",
)
FORMER_IN_SHARED = _kind(
    "FormerInShared",
    _MADE_OF_SHARED,
    ": if these were deleted, it replaces their access, and provision prune --former DAYS would remove it",
)
FORMER_GIVES_MORE = _kind(
    "FormerGivesMore",
    f"{_MADE_OF_SHARED}, and the group also gives account {{accounts}}, where no run found an IAM user of this person: "
    f"no option removes the membership",
    ": if the person has left, remove it by hand",
)
FORMER_GIVES_UNKNOWN = _kind(
    "FormerGivesUnknown", f"{_MADE}, and it is not known what else it gives: {{why}}"
)
MEMBER_OF_PROVIDER = _kind("MemberOfProvider", "", "ask the owner of the identity provider to remove it")
GROUP_GIVES_UNKNOWN = _kind("GroupGivesUnknown", "it is not known what else the group gives: {why}")
GROUP_GIVES_MORE = _kind(
    "GroupGivesMore",
    "it also gives account {accounts}, which has no intents here",
    ": run over all accounts",
)
#: The codes that say that an earlier run made the membership.
FORMER_MEMBERSHIP = frozenset(
    each.code
    for each in (
        *(FORMER, FORMER_AND_GONE, FORMER_UNJUDGED, FORMER_AND_OTHERS),
        *(FORMER_IN_SHARED, FORMER_GIVES_MORE, FORMER_GIVES_UNKNOWN),
    )
)

# --- access keys

KEY_COMES_BACK = _kind(
    "KeyComesBack",
    "inactive",
    ": `c7n-iamusers key KEY_ID --give-back` activates it again",
    owners="it can be given back until it is deleted",
)
KEY_PARKED = _kind("KeyParked", f"inactive since {{since:{_MINUTE}}} UTC, by this tool")
KEY_STAYS_PARKED = _kind(
    "KeyStaysParked",
    f"it stays inactive, as this tool made it on {{since:{_MINUTE}}} UTC",
    ": the action activate gives it back",
)
KEY_INACTIVE_BEFORE = _kind("KeyInactiveBefore", "it is inactive, and this tool did not make it so")
KEY_ACTIVE = _kind("KeyActive", "it is active")
KEY_GONE = _kind("KeyGone", "its user has no such key any more")
KEY_NO_LONGER_SELECTED = _kind(
    "KeyNoLongerSelected",
    "on live data, the filter unnecessary no longer selects it ({why})",
    ": flag again",
    owners="it has changed, and no longer counts as unnecessary",
)
KEY_OF_DENIED_USER = _kind(
    "KeyOfDeniedUser",
    "{user} is denied everything, is being deleted or was not restored in full",
    ": end that first, by release, composite-delete or `c7n-iamusers restore`",
    owners="its user is denied everything already",
)
KEY_ACTIVATED_SINCE = _kind(
    "KeyActivatedSince",
    f"somebody activated it after this tool had made it inactive on {{since:{_MINUTE}}} UTC, so it may be needed",
    ": ask its owner; it is taken again only once it is announced again",
)
KEY_GIVEN_BACK = _kind(
    "KeyGivenBack",
    f"it was given back on {{since:{_MINUTE}}} UTC",
    ": it is taken again only once it is announced again",
)
KEY_NOT_PARKED = _kind(
    "KeyNotParked",
    "no journal here shows that this tool made it inactive",
    ": name the output of that run by record-from, or change the key by hand",
    owners="it was not made inactive by this tool",
)
KEY_NOT_PROVEN_OURS = _kind(
    "KeyNotProvenOurs",
    f"AWS did not answer the run of {{since:{_MINUTE}}} UTC, so somebody else may have made it inactive",
    ": look in CloudTrail; it is not deleted, and activate with adopt: true gives it back",
    owners=f"it is inactive since {{since:{_MINUTE}}} UTC, and is not deleted, as it is not certain by whom",
)
KEY_SEEN_ACTIVE = _kind(
    "KeySeenActive",
    f"this tool made it inactive on {{since:{_MINUTE}}} UTC, a run saw it active on {{seen:{_MINUTE}}} UTC, and "
    "somebody else has made it inactive since",
    ": ask its owner; activate with adopt: true gives it back",
    owners=f"it was active again on {{seen:{_MINUTE}}} UTC, and somebody else has made it inactive since",
)
KEY_CHANGED_MEANWHILE = _kind(
    "KeyChangedMeanwhile",
    "{key}: its status or its last use changed while this run was about to change it",
    ": run again",
    owners="it changed while this tool looked at it",
)
KEY_PARKED_TOO_SHORT = _kind(
    "KeyParkedTooShort", f"inactive for less than {{days:g}} days, since {{since:{_MINUTE}}} UTC"
)
KEY_USED_SINCE_PARKED = _kind(
    "KeyUsedSinceParked",
    f"its last use is not what it was when it was made inactive on {{since:{_MINUTE}}} UTC: {{use}}",
    ": find out who uses it",
)
LAST_KEY_IN_USE = _kind(
    "LastKeyInUse",
    "it is the last active key of a user in use: used on {used:%Y-%m-%d}",
    ": give its program another way in, or set include-last: true",
)
KEY_WAS_PARKED = _kind(
    "KeyWasParked",
    f"inactive since {{since:{_MINUTE}}} UTC, by policy {{policy}}",
    owners=f"it was inactive since {{since:{_MINUTE}}} UTC",
)
KEY_CHANGE_NOT_SHOWN = _kind(
    "KeyChangeNotShown",
    "{key}: AWS accepted {calls}, and does not show it yet",
    ": run again",
    owners="AWS does not show the change yet",
)
KEY_SHOWN_LATER = _kind(
    "KeyShownLater",
    "by the call of {at} UTC, which AWS did not show at once, and shows now",
    owners="on {at} UTC, as AWS shows",
)
KEY_BY_STOPPED_RUN = _kind(
    "KeyByStoppedRun",
    "by the run that was stopped on {at} UTC, as AWS shows",
    owners="on {at} UTC, as AWS shows",
)

#: The first codes of outcomes of users that a run changed as it should. No failure begins with one of these.
OF_CHANGES = frozenset(
    each.code
    for each in (
        REASONS[""],
        *(CREDENTIALS_KEPT, SESSION_WORKS, SESSIONS_ENDED, SESSIONS_NOT_ENDED, SOME_SESSIONS_NOT_ENDED),
        *(GIVEN_BY_OTHERS, ALREADY_DEACTIVATED, IN_QUARANTINE, IN_QUARANTINE_AND_USED, BROWNED_OUT_UNTIL),
        *(BROWNOUT_ENDED, POLICY_STAYS, JOURNAL_MISSING, DENY_REMOVED, DEACTIVATED_EARLIER),
        *(TAKEN_AGAIN, NOT_PROVEN_OURS, ONLY_IN_A_JOURNAL, UNKNOWN_BEFORE),
        *(
            KEY_COMES_BACK,
            KEY_PARKED,
            KEY_WAS_PARKED,
            KEY_SHOWN_LATER,
            KEY_BY_STOPPED_RUN,
            KEY_NOT_PROVEN_OURS,
        ),
        *(GIVEN_UNDER_QUARANTINE, DELETED_BY_STOPPED_RUN, DELETED_WITHOUT_ANSWER, DELETED_EARLIER),
    )
)
