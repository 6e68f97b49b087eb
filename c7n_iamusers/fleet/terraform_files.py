# SPDX-License-Identifier: Apache-2.0
"""A desired access as a Terraform configuration on disk, for teams that own Identity Center that way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from c7n_iamusers.aws.stores import DirectoryStore
from c7n_iamusers.decisions.terraform import Existing, terraform_configuration
from c7n_iamusers.model.access import DesiredAccess

FILE = "identity-center.tf.json"


def write_terraform(
    directory: Path, desired: DesiredAccess, existing: Existing | None = None
) -> Iterator[str]:
    """Write the configuration, replacing an earlier one; lines for a person. Raises OSError.

    ``existing``: what is to be imported.
    """
    configuration = terraform_configuration(desired, existing)
    text = json.dumps(configuration, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    DirectoryStore(directory).replace(FILE, text.encode())
    for kind, resources in sorted(configuration.get("resource", {}).items()):
        yield f"  {len(resources):>5} {kind}"
    if existing:
        yield f"  {len(configuration['import']):>5} import blocks, for what exists"
    for refused in desired.refused:
        yield f"  ! refused {refused.reason}"
    yield f"Wrote {directory / FILE}"
