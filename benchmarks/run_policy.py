# SPDX-License-Identifier: Apache-2.0
"""Runs one policy as ``custodian run`` does, in a new interpreter, and prints its cost as JSON.

python -m benchmarks.run_policy POLICY.json OUTPUT-DIRECTORY ROLE-ARN [--plugins]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def main(policy_file: str, output: str, role: str, *options: str) -> None:
    policy = _policy(json.loads(Path(policy_file).read_text(encoding="utf-8")), output, role, options)
    loaded = peak_mib()
    began = time.perf_counter()
    found = policy.run()
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "users": len(found), "loaded_mib": loaded, "peak_mib": peak_mib()}))


def peak_mib() -> float:
    """The peak resident memory so far, in MiB.

    Linux carries the maximum of getrusage over from the process that started this one, so there the kernel's
    high-water mark of this program alone is read (proc(5), VmHWM); elsewhere it is getrusage, in bytes on macOS.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (text for text in status.read_text().splitlines() if text.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _policy(data: dict[str, Any], output: str, role: str, options: tuple[str, ...]) -> Any:
    from c7n.config import Config
    from c7n.policy import PolicyCollection
    from c7n.resources import load_resources

    load_resources((data["resource"],))
    _register("--plugins" in options)
    account = role.split(":")[4]
    config = Config.empty(
        region="us-east-1", account_id=account, assume_role=role, output_dir=output, cache_period=0
    )
    (policy,) = PolicyCollection.from_data({"policies": [data]}, config)
    policy.validate()
    return policy


def _register(plugins: bool) -> None:
    if plugins:
        from c7n_iamusers.entry import register

        register()
    elif "c7n_iamusers.entry" in sys.modules:
        sys.exit("this is not stock Cloud Custodian: a start-up hook has registered c7n_iamusers")


if __name__ == "__main__":
    main(*sys.argv[1:])
