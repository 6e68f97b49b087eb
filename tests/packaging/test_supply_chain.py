# SPDX-License-Identifier: Apache-2.0
"""What the image and the wheel are made of."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.packaging.environments import ROOT, copy_source

WHEN = datetime(2026, 1, 1, tzinfo=timezone.utc)
LOCK = "".join(
    f"{name} \\\n" + " \\\n".join(f"    --hash=sha256:{digit * 64}" for digit in digits) + "\n"
    for name, digits in (("a-b==1.0", "01"), ("C.d==2", "2"))
)


@pytest.fixture(scope="module")
def chain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply_chain", ROOT / "deploy" / "supply_chain.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def built(directory: Path, umask: int) -> Path:
    """A wheel of a copy of the source, whose files have the modes and times of another checkout."""
    source = copy_source(directory / "source")
    for file in (source / "c7n_iamusers").rglob("*.py"):
        file.chmod(0o666 & ~umask)
        os.utime(file, (umask, umask + 10**9))
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--wheel",
        "--outdir",
        str(directory / "dist"),
        str(source),
    ]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, umask=umask)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (directory / "dist").glob("*.whl")
    return wheel


def test_two_checkouts_give_the_same_wheel_byte_for_byte(tmp_path: Path) -> None:
    first, second = (built(tmp_path / str(umask), umask) for umask in (0o022, 0o077))
    digests = {hashlib.sha256(each.read_bytes()).hexdigest() for each in (first, second)}
    assert len(digests) == 1


def test_the_bill_lists_the_wheel_and_all_that_is_locked(chain: ModuleType, wheel: Path) -> None:
    locked = chain.locked()
    bill = chain.bill(wheel, locked, WHEN)
    assert bill == chain.bill(wheel, locked, WHEN)
    itself = bill["metadata"]["component"]
    assert itself["hashes"][0]["content"] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert re.fullmatch(r"pkg:pypi/c7n-iamusers@[0-9.a-z]+", itself["purl"])
    assert {"c7n", "boto3", "botocore", "c7n-mailer"} <= {each["name"] for each in bill["components"]}
    purls = [each["purl"] for each in bill["components"]]
    assert len(set(purls)) == len(purls) == len(locked)
    assert bill["dependencies"] == [{"ref": itself["bom-ref"], "dependsOn": purls}]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", bill["serialNumber"])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    json.dumps(bill)


def test_pins(chain: ModuleType) -> None:
    first, second = chain.pins(LOCK)
    assert (first.name, first.version, first.hashes) == ("a-b", "1.0", ("0" * 64, "1" * 64))
    assert second.purl == "pkg:pypi/c-d@2"
    with pytest.raises(ValueError, match="b without a hash"):
        chain.pins("a==1 --hash=sha256:" + "0" * 64 + "\nb==2\n")


VULNERABLE = {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        pytest.param([SOUND], 0, "no known vulnerability in 1 packages", id="sound"),
        pytest.param([SOUND, VULNERABLE], 1, "a 1: PYSEC-1: fixed in 2", id="vulnerable"),
        pytest.param([VULNERABLE, UNKNOWN], 1, "a 1: PYSEC-1", id="vulnerable-and-unknown"),
        pytest.param([SOUND, UNKNOWN], 3, "not audited", id="unknown"),
        pytest.param([], 3, "not audited", id="no-answer"),
    ],
)
def test_what_was_not_asked_is_not_sound(
    chain: ModuleType, packages: list[dict[str, Any]], code: int, told: str
) -> None:
    found, lines = chain.verdict({"dependencies": packages})
    assert (found, told in "\n".join(lines)) == (code, True)


def test_everything_locked_is_wanted_with_hashes(chain: ModuleType) -> None:
    names = {each.name for each in chain.pins(chain.REQUIREMENTS.read_text())}
    assert {re.split("[>=]", each)[0] for each in chain.WANTED} <= names
    assert "c7n-mailer" not in names
    beside = {each.name for each in chain.pins(chain.MAILER_REQUIREMENTS.read_text())}
    assert "c7n-mailer" in beside - names
    # as `renew` writes them
    for path, head in ((chain.REQUIREMENTS, chain._HEAD), (chain.MAILER_REQUIREMENTS, chain._MAILER_HEAD)):
        assert path.read_text() == head + "\n".join(map(str, chain.pins(path.read_text()))) + "\n"
