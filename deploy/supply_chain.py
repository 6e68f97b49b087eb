# SPDX-License-Identifier: Apache-2.0
"""What the image and the wheel are made of: renewed, audited, and listed.

    python deploy/supply_chain.py renew         # versions and hashes of requirements.txt; needs uv and pip-audit
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
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
#: What the image installs beside the package itself; setuptools builds it there.
WANTED = ("c7n", "c7n-org", "c7n-mailer", "boto3", "click", "rich", "jinja2", "setuptools>=77")
_HEAD = "# What the image installs, for Python 3.13 on Linux; `make renew` writes it anew.\n"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
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
    """The bill of materials of ``wheel`` and what the image installs beside it: CycloneDX 1.6, as JSON.

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
    found = bill(wheel, pins(REQUIREMENTS.read_text()), datetime.fromtimestamp(seconds, timezone.utc))
    path = wheel.with_suffix(".cdx.json")
    path.write_text(json.dumps(found, indent=1) + "\n")
    return path


def renew() -> int:
    """Lock the newest versions, and audit them. The exit code."""
    tools = Path(sys.executable).parent
    options = ("--python-version", "3.13", "--python-platform", "linux", "--generate-hashes", "--upgrade")
    compiled = subprocess.run(
        [tools / "uv", "pip", "compile", "-", *options, "--no-header", "--no-annotate", "--quiet"],
        input="\n".join(WANTED),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    before = {(each.name, each.version) for each in pins(REQUIREMENTS.read_text())}
    after = {(each.name, each.version) for each in pins(compiled)}
    REQUIREMENTS.write_text(_HEAD + compiled)
    for name, version in sorted(after - before):
        print(f"{name} {version}")
    print(f"{REQUIREMENTS}: {len(after)} packages, {len(after - before)} renewed")
    audit = ("--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off")
    # its own summary says "No known vulnerabilities found" of packages that it could not look up
    done = subprocess.run(
        [tools / "pip-audit", *audit, "-r", REQUIREMENTS], capture_output=True, text=True, check=False
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
