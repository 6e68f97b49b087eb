# SPDX-License-Identifier: Apache-2.0
"""Which users the options of the filter ``unnecessary`` select, and the parser of these options. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from c7n_iamusers.evidence.assessment import Assessment, Criteria, activity_of, is_unused, unread_kinds
from c7n_iamusers.evidence.findings import FINDING_IDS, MANAGED_AS_CODE
from c7n_iamusers.evidence.index import USER, with_listed_credentials
from c7n_iamusers.evidence.model import KINDS, Hint, Provisioning, Thresholds
from c7n_iamusers.evidence.naming_hints import parse_hints
from c7n_iamusers.exceptions import InvalidPolicyData
from c7n_iamusers.iam.accounts import region_fault
from c7n_iamusers.iam.user_fields import pattern_fault
from c7n_iamusers.resource_policies.sources import ALL, SERVICES
from c7n_iamusers.text.times import moment
from c7n_iamusers.text.wording import quoted


@dataclass(frozen=True)
class Selection:
    """The conditions that a user must meet, all of them. A condition that is None or empty selects every user.

    ``unused_for``, ``min_age``: days. ``any_of``, ``none_of``: ids of findings.
    """

    kinds: tuple[str, ...] = ()
    unused_for: float | None = None
    min_age: float | None = None
    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    @property
    def asks_who_manages(self) -> bool:
        """Whether a condition depends on which code manages the user."""
        return MANAGED_AS_CODE in (*self.any_of, *self.none_of)

    def left_out_by(self, assessment: Assessment, now: datetime) -> str:
        """The first condition that the user does not meet, or that can't be decided; "" if the user is selected.

        It is the option's name and, if something is unknown, that: ``unused-for: signing certificate: last use
        unknown``.
        """
        activity = assessment.activity
        if reason := self._left_out_by_age_or_findings(assessment, now):
            return reason
        if not self._is_of_kind(assessment):
            return "kinds"
        if self.unused_for is not None and not is_unused(activity, self.unused_for, now):
            return f"unused-for: {', '.join(activity.unknown)}" if activity.unknown else "unused-for"
        return ""

    def selects(self, assessment: Assessment, now: datetime) -> bool:
        """Whether the user meets every condition. False if one of them can't be decided."""
        return not self.left_out_by(assessment, now)

    def needs_user_lists(self, assessment: Assessment, now: datetime) -> bool:
        """Whether listing the credentials that AWS lists for one user at a time (SSH keys) can decide the selection."""
        if not unread_kinds(assessment.evidence) or self._left_out_by_age_or_findings(assessment, now):
            return False
        undecided = bool(assessment.classification.missing_kind)
        if not undecided and not self._is_of_kind(assessment):
            return False
        return self._unused_without_them(assessment, now) if self.unused_for is not None else undecided

    def _left_out_by_age_or_findings(self, assessment: Assessment, now: datetime) -> str:
        findings = assessment.findings
        if not self._is_old_enough(assessment, now):
            return "min-age"
        if self.any_of and not any(findings.has(each) for each in self.any_of):
            return "findings.any-of"
        if not all(findings.has(each) is False for each in self.none_of):
            return "findings.none-of"
        return ""

    def _is_old_enough(self, assessment: Assessment, now: datetime) -> bool:
        if self.min_age is None:
            return True
        created = moment(assessment.user.detail.get("CreateDate"))
        return created is not None and now - created >= timedelta(days=self.min_age)

    def _is_of_kind(self, assessment: Assessment) -> bool:
        return not self.kinds or assessment.classification.kind in self.kinds

    def _unused_without_them(self, assessment: Assessment, now: datetime) -> bool:
        """Whether the user is unused if the kinds that were not listed are empty."""
        evidence = assessment.evidence
        if USER not in evidence.sources:
            return False
        known = evidence
        for kind in unread_kinds(evidence):
            known = with_listed_credentials(known, kind, (), evidence.sources[USER])
        return is_unused(activity_of(assessment.user, known), self.unused_for or 0, now)


BULK, FULL = "bulk", "full"
#: The finding that rests on the option BLAST_RADIUS.
NAMES_USER, BLAST_RADIUS, BLAST_REGIONS = (
    "resource-policy-names-user",
    "blast-radius",
    "blast-radius-regions",
)
#: The options that ask who calls with access keys. ``CLOUDTRAIL``: the value of USAGE.
USAGE, USAGE_PAGES, USAGE_REGIONS, USAGE_FROM = "usage", "usage-pages", "usage-regions", "usage-from"
USAGE_RANGES = "usage-ranges"
CLOUDTRAIL = "cloudtrail"
#: Pages of a key and Region that can be asked for: half a minute at two calls a second.
MOST_PAGES = 60
OPTIONS = (
    "kinds",
    "unused-for",
    "min-age",
    "findings",
    "hints",
    "thresholds",
    "provisioning",
    "managed-by",
    BLAST_RADIUS,
    BLAST_REGIONS,
    *(USAGE_PAGES, USAGE_REGIONS, USAGE_RANGES, USAGE_FROM, USAGE),
    "attachments",
)


@dataclass(frozen=True)
class BlastRadius:
    """The policies of resources to read. ``services``: none by default. ``regions``: empty for all enabled ones."""

    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()

    @classmethod
    def of_all(cls, several: Iterable[BlastRadius]) -> BlastRadius:
        """What ``several`` ask for together."""
        asking = [each for each in several if each.services]
        services = dict.fromkeys(service for each in asking for service in each.services)
        regions = dict.fromkeys(region for each in asking for region in each.regions)
        return cls(tuple(services), tuple(regions) if all(each.regions for each in asking) else ())


#: The keys of ``managed-by``.
STACKS, STATES = "cloudformation", "terraform-states"


@dataclass(frozen=True)
class AskedCode:
    """What is asked of the code that manages users, beside their tags. ``regions``: those of stacks.

    ``states``: the places of Terraform states.
    """

    regions: tuple[str, ...] = ()
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class AskedUsage:
    """What is asked of the calls by access keys. ``history``: whether CloudTrail's event history is read.

    ``pages``: of 50 events, a key and Region. ``regions``: beside that of a key's last use. ``place``: a path or
    s3://BUCKET/KEY of CloudTrail's files, or of a query's result; empty for none. ``ranges``: a path or s3://BUCKET/KEY
    of the names of networks; empty for none.
    """

    history: bool = False
    pages: int = 1
    regions: tuple[str, ...] = ()
    place: str = ""
    ranges: str = ""


@dataclass(frozen=True)
class FilterOptions:
    """``selection``: the users to flag. ``full``: whether to list, for each user, what no bulk operation returns.

    ``blast_radius``: the policies of resources to read. ``code``: what is asked of the code that manages them.
    ``usage``: what is asked of who calls with their access keys.
    """

    selection: Selection
    criteria: Criteria
    full: bool
    blast_radius: BlastRadius = field(default_factory=BlastRadius)
    code: AskedCode = AskedCode()
    usage: AskedUsage = AskedUsage()


def parse_options(data: Mapping[str, Any], where: str) -> FilterOptions:
    """The options in ``data``, the filter's block of a policy. ``where``: its place, for errors.

    Raises InvalidPolicyData with every fault and what to write instead.
    """
    reader = _Reader(data, where)
    given = reader.given
    findings = reader.mapping("findings", ("any-of", "none-of"), instead_of_list="any-of")
    selection = Selection(
        reader.names(given.get("kinds"), "kinds", KINDS),
        reader.days(given.get("unused-for"), "unused-for"),
        reader.days(given.get("min-age"), "min-age"),
        reader.names(findings.get("any-of"), "findings.any-of", FINDING_IDS),
        reader.names(findings.get("none-of"), "findings.none-of", FINDING_IDS),
    )
    criteria = Criteria(reader.hints(), reader.thresholds(), reader.provisioning())
    blast_radius = reader.blast_radius()
    if NAMES_USER in (*selection.any_of, *selection.none_of) and not blast_radius.services:
        reader.fault("findings", f"{NAMES_USER} needs {BLAST_RADIUS}: [s3, kms, ...] or {ALL}")
    code, usage = reader.code(), reader.usage()
    full = reader.names([given.get("attachments", BULK)], "attachments", (BULK, FULL)) == (FULL,)
    if reader.faults:
        raise InvalidPolicyData("; ".join(reader.faults))
    return FilterOptions(selection, criteria, full, blast_radius, code, usage)


class _Reader:
    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._where = where
        self.faults: list[str] = []
        self.given = self._without_nulls({key: data[key] for key in OPTIONS if key in data})

    def fault(self, key: str, text: str) -> None:
        self.faults.append(f"{self._where}: {key}: {text}")

    def _without_nulls(self, given: Mapping[str, Any], within: str = "") -> Mapping[str, Any]:
        for key in (key for key, value in given.items() if value is None):
            self.fault(f"{within}{key}", "has no value: give one, or leave the key out")
        return {key: value for key, value in given.items() if value is not None}

    def days(self, value: Any, key: str) -> float | None:
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
            return value
        self.fault(key, f"must be a number of days above 0, not {quoted(value)}")
        return None

    def names(self, value: Any, key: str, known: Sequence[str]) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or not value:
            self.fault(key, f"must be a list with at least one of {', '.join(known)}, not {quoted(value)}")
            return ()
        for name in value:
            if name not in known:
                self.fault(key, f"there is no {quoted(name)}: known are {', '.join(known)}")
        return tuple(str(name) for name in value)

    def mapping(self, key: str, known: Sequence[str], instead_of_list: str = "") -> Mapping[str, Any]:
        value = self.given.get(key)
        if value is None:
            return {}
        if instead_of_list and isinstance(value, list):
            return {instead_of_list: value}
        if not isinstance(value, Mapping) or not value or not set(value) <= set(known):
            self.fault(key, f"must be a mapping of {', '.join(known)}, not {quoted(value)}")
            return {}
        return self._without_nulls(value, f"{key}.")

    def hints(self) -> tuple[Hint, ...]:
        if "hints" not in self.given:
            return ()
        try:
            return parse_hints(self.given["hints"], f"{self._where}: hints")
        except InvalidPolicyData as error:
            self.faults.append(str(error))
            return ()

    def thresholds(self) -> Thresholds:
        default, given = Thresholds(), self.mapping("thresholds", ("unused", "rotation"))
        unused = self.days(given.get("unused"), "thresholds.unused")
        rotation = self.days(given.get("rotation"), "thresholds.rotation")
        return Thresholds(unused or default.unused, rotation or default.rotation)

    def code(self) -> AskedCode:
        given = self.mapping("managed-by", (STACKS, STATES))
        regions = self._regions(f"managed-by.{STACKS}", given.get(STACKS, ()))
        return AskedCode(regions, self._states(given))

    def _regions(self, key: str, value: Any) -> tuple[str, ...]:
        """``value``, once each. The names are part of those of hosts: each is one that botocore knows."""
        if not isinstance(value, list | tuple) or value == []:
            self.fault(key, f"must be a list of Regions, not {quoted(value)}")
            return ()
        names = tuple(dict.fromkeys(map(str, value)))
        for fault in filter(None, map(region_fault, names)):
            self.fault(key, fault)
        return names

    def _states(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        value = given.get(STATES, ())
        if STATES in given and not (
            isinstance(value, list) and value and all(isinstance(each, str) and each for each in value)
        ):
            fault = f"must be a list of paths or s3://BUCKET/KEY, not {quoted(value)}"
            self.fault(f"managed-by.{STATES}", fault)
            return ()
        return tuple(dict.fromkeys(value))

    def provisioning(self) -> Provisioning:
        given = self.mapping("provisioning", ("tag", "role"))
        return Provisioning(tuple(self._patterns(given, "tag")), tuple(self._patterns(given, "role")))

    def blast_radius(self) -> BlastRadius:
        asked = self.given.get(BLAST_RADIUS)
        services = SERVICES if asked == ALL else self.names(asked, BLAST_RADIUS, (ALL, *SERVICES))
        regions = self._regions(BLAST_REGIONS, self.given.get(BLAST_REGIONS, ()))
        if BLAST_REGIONS in self.given and not services:
            self.fault(BLAST_REGIONS, f"needs {BLAST_RADIUS}")
        return BlastRadius(SERVICES if ALL in services else services, regions)

    def usage(self) -> AskedUsage:
        given, regions = self.given, self._regions(USAGE_REGIONS, self.given.get(USAGE_REGIONS, ()))
        history = self.names([given[USAGE]], USAGE, (CLOUDTRAIL,)) != () if USAGE in given else False
        for key in (USAGE_PAGES, USAGE_REGIONS):
            if key in given and USAGE not in given:
                self.fault(key, f"needs {USAGE}: {CLOUDTRAIL}")
        pages = given.get(USAGE_PAGES, 1)
        if not isinstance(pages, int) or isinstance(pages, bool) or not 1 <= pages <= MOST_PAGES:
            self.fault(USAGE_PAGES, f"must be a number of pages from 1 to {MOST_PAGES}, not {quoted(pages)}")
        if USAGE_RANGES in given and not {USAGE, USAGE_FROM} & given.keys():
            self.fault(USAGE_RANGES, f"needs {USAGE}: {CLOUDTRAIL}, or {USAGE_FROM}")
        place, ranges = self._place(USAGE_FROM), self._place(USAGE_RANGES)
        return AskedUsage(history, pages, regions, place, ranges)

    def _place(self, key: str) -> str:
        place = self.given.get(key, "")
        if key in self.given and (not isinstance(place, str) or not place):
            self.fault(key, f"must be a path or s3://BUCKET/KEY, not {quoted(place)}")
        return str(place)

    def _patterns(self, given: Mapping[str, Any], key: str) -> Iterator[str]:
        patterns = given.get(key, [])
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            if not isinstance(pattern, str) or not pattern:
                form = "Key=glob" if key == "tag" else "a glob over the ARNs of creators"
                self.fault(f"provisioning.{key}", f"must be {form}, not {quoted(pattern)}")
            elif key == "tag" and (fault := pattern_fault(key, pattern)):
                self.fault(f"provisioning.{key}", f"{quoted(pattern)} {fault}")
            else:
                yield pattern
