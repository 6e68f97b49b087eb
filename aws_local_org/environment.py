# SPDX-License-Identifier: Apache-2.0
"""The environment of commands: with the local organization's token, and without the user's own AWS settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: The variable and the header with the token of a local organization's run.
TOKEN_VARIABLE, TOKEN_HEADER = "C7N_IAMUSERS_LOCAL_ORG_TOKEN", "X-Local-Org-Token"


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without profile, credentials and endpoint."""
    return {name: value for name, value in environment.items() if not name.startswith(("AWS_", "C7N_"))}


def not_by_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep requests to this machine from a proxy, which would get the run's token.

    Programs read either name. Existing values in ``environment`` stay.
    """
    found = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = ",".join(
        dict.fromkeys(("127.0.0.1", "localhost", *filter(None, found.replace(" ", "").split(","))))
    )
    return {"NO_PROXY": hosts, "no_proxy": hosts}


@contextmanager
def no_aws_settings() -> Iterator[None]:
    """Remove these settings from this process: moto makes sessions, which fail if a profile is missing."""
    before = dict(os.environ)
    for name in before.keys() - without_aws(before).keys():
        del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
