# SPDX-License-Identifier: Apache-2.0
"""What the images and the wheel are made of: renewed, audited, and listed.

    python deploy/supply_chain.py renew         # versions and hashes of requirements*.txt; needs uv and pip-audit
    python deploy/supply_chain.py sbom WHEEL    # CycloneDX 1.6 beside the wheel; needs nothing

``renew`` ends with 1 where a package has a known vulnerability, and with 3 where no database could be asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
#: What the image of c7n-mailer installs beside these.
MAILER_REQUIREMENTS = REQUIREMENTS.with_name("requirements-mailer.txt")
#: What the images install beside the package itself; setuptools builds it there.
WANTED = ("c7n", "c7n-org", "boto3", "click", "rich", "jinja2", "setuptools>=77")
_HEAD = "# What the images install, for Python 3.13 on Linux; `make renew` writes it anew.\n"
_MAILER_HEAD = (
    "# What the image of c7n-mailer installs beside requirements.txt; `make renew` writes it anew.\n"
)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_TOOLS = Path(sys.executable).parent
#: Exit codes of ``renew``.
CLEAN, VULNERABLE, NOT_ASKED = 0, 1, 3


@dataclass(frozen=True)
class Pin:
    """A package of the lock file. ``hashes``: SHA-256 of each of its distributions."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """The package URL."""
        return purl(self.name, self.version)

    def __str__(self) -> str:
        return " \\\n    ".join(
            [f"{self.name}=={self.version}", *(f"--hash=sha256:{each}" for each in self.hashes)]
        )


def purl(name: str, version: str) -> str:
    """The package URL of a project on PyPI (purl specification, type pypi)."""
    return f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"


def pins(text: str) -> list[Pin]:
    """The packages of a lock file. Raises ValueError for one without a hash."""
    starts = [*_PIN.finditer(text)]
    ends = [*(each.start() for each in starts[1:]), len(text)]
    found = [
        Pin(each[1], each[2], tuple(_HASH.findall(text, each.start(), end)))
        for each, end in zip(starts, ends, strict=True)
    ]
    if bare := [each.name for each in found if not each.hashes]:
        raise ValueError(f"{', '.join(bare)} without a hash")
    return found


def locked() -> list[Pin]:
    """All that is locked, by name."""
    found = [*pins(REQUIREMENTS.read_text()), *pins(MAILER_REQUIREMENTS.read_text())]
    return sorted(found, key=lambda each: each.name)


def verdict(report: Mapping[str, Any]) -> tuple[int, list[str]]:
    """The exit code, and lines for people, by pip-audit's JSON ``report``.

    A package that the database does not know was not audited, which pip-audit itself takes for no fault.
    """
    packages = report.get("dependencies") or []
    skipped = [str(each["name"]) for each in packages if "skip_reason" in each]
    lines = [
        f"{each['name']} {each['version']}: {found['id']}: fixed in {', '.join(found.get('fix_versions') or ['none'])}"
        for each in packages
        for found in each.get("vulns") or ()
    ]
    if lines:
        return VULNERABLE, lines
    if skipped or not packages:
        return NOT_ASKED, [
            f"not audited, as no vulnerability database answers: {len(skipped) or 'all'} packages"
        ]
    return CLEAN, [f"no known vulnerability in {len(packages)} packages"]


def bill(wheel: Path, locked: Sequence[Pin], when: datetime) -> dict[str, Any]:
    """The bill of materials of ``wheel`` and what the images install beside it: CycloneDX 1.6, as JSON.

    The same wheel and lock file give the same bill.
    """
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    itself = purl(metadata["Name"], metadata["Version"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{itself}#{digest}')}",
        "version": 1,
        "metadata": {
            "timestamp": when.astimezone(timezone.utc).isoformat(timespec="seconds"),
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": metadata["Name"],
                "version": metadata["Version"],
                "purl": itself,
                "licenses": [{"expression": metadata["License-Expression"]}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            },
        },
        "components": [
            {
                "type": "library",
                "bom-ref": each.purl,
                "name": each.name,
                "version": each.version,
                "purl": each.purl,
                "externalReferences": [
                    {
                        "type": "distribution",
                        "url": each.purl,
                        "hashes": [{"alg": "SHA-256", "content": found} for found in each.hashes],
                    }
                ],
            }
            for each in locked
        ],
        "dependencies": [{"ref": itself, "dependsOn": [each.purl for each in locked]}],
    }


def write_bill(wheel: Path) -> Path:
    """Write the bill beside ``wheel``; its time is SOURCE_DATE_EPOCH, or else the wheel's own."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or wheel.stat().st_mtime)
    found = bill(wheel, locked(), datetime.fromtimestamp(seconds, timezone.utc))
    path = wheel.with_suffix(".cdx.json")
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def _compiled(wanted: Sequence[str], constraints: Path | None = None) -> list[Pin]:
    """The newest versions of these and all that they need, at most those of ``constraints``."""
    options = ("--python-version", "3.13", "--python-platform", "linux", "--generate-hashes", "--upgrade")
    limits = ("--constraint", constraints) if constraints else ()
    text = subprocess.run(
        [_TOOLS / "uv", "pip", "compile", "-", *options, *limits, "--no-header", "--no-annotate", "--quiet"],
        input="\n".join(wanted),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return pins(text)


def renew() -> int:
    """Lock the newest versions, and audit them. The exit code."""
    before = {(each.name, each.version) for each in locked()}
    # together, as c7n-mailer and c7n-org are of one release: what the others do not need is c7n-mailer's
    found = _compiled((*WANTED, "c7n-mailer"))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(f"{each.name}=={each.version}" for each in found))
        file.flush()
        base = {each.name for each in _compiled(WANTED, Path(file.name))}
    for path, head, own in ((REQUIREMENTS, _HEAD, True), (MAILER_REQUIREMENTS, _MAILER_HEAD, False)):
        lines = [str(each) for each in found if (each.name in base) == own]
        path.write_text(head + "\n".join(lines) + "\n")
    after = {(each.name, each.version) for each in found}
    for name, version in sorted(after - before):
        print(f"{name} {version}")
    print(f"{REQUIREMENTS.parent}: {len(after)} packages, {len(after - before)} renewed")
    audit = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off")
    # its own summary says "No known vulnerabilities found" of packages that it could not look up
    done = subprocess.run(
        [_TOOLS / "pip-audit", *audit, "-r", REQUIREMENTS, "-r", MAILER_REQUIREMENTS],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:  # it ends with a traceback where the database can't be reached
        report = {}
    code, lines = verdict(report)
    print("\n".join(lines))
    return code


def main(arguments: Sequence[str]) -> int:
    """Run a command. The exit code."""
    match arguments:
        case ["renew"]:
            return renew()
        case ["sbom", wheel]:
            print(write_bill(Path(wheel)))
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
