# SPDX-License-Identifier: Apache-2.0
"""python -m tests.explorer: explores, and fails where something was found that is no known gap."""

from __future__ import annotations

# isort: off
from tests.explorer import alone

alone.install()
# isort: on

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tests.explorer.exploration import as_test, explored, sampled, shrunk, workplace
from tests.explorer.flows import FLOWS
from tests.explorer.traces import Prepared, Result, Trace
from tests.explorer.world import World


def main() -> int:
    """See the module. The status is 1 where something was found."""
    options = _options()
    base = Path(tempfile.mkdtemp(prefix="explorer-"))
    results = options.results.resolve()
    if options.replay:
        return _replay(base, Trace.parse(options.replay))
    names = [name for name in FLOWS if any(fnmatch(name, each) for each in options.flow or ["*"])]
    known = _known(results)
    found = 0
    for position, name in enumerate(names):
        share = options.seconds / len(names)
        found += _explore(name, options, base, share, known, results)
        print(f"{name}: {found} found so far, {len(names) - position - 1} flows left", flush=True)
    return int(found > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.explorer", description=__doc__)
    parser.add_argument("--flow", action="append", help="a flow or a glob of flows; repeatable")
    parser.add_argument("--fault", default="*", help="a glob of what happens")
    parser.add_argument("--seconds", type=float, default=3_500, help="for all flows together")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="traces of each flow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", help="run one trace, as it was printed")
    parser.add_argument("--results", type=Path, default=Path(".explorer/results.jsonl"), help="traces in it are not run again")
    return parser.parse_args()


def _replay(base: Path, trace: Trace) -> int:
    workplace(base, trace.flow)
    prepared = Prepared.of(World(), FLOWS[trace.flow])
    (result,) = explored(prepared, [trace], 1)
    for call in result.calls:
        print(f"{call.number:4} {call}{' *' if call.changes else ''}")
    print(*result.broken or ["held"], sep="\n")
    return int(bool(result.broken))


def _known(results: Path) -> set[str]:
    results.parent.mkdir(parents=True, exist_ok=True)
    lines = results.read_text().splitlines() if results.exists() else []
    return {json.loads(line)["trace"] for line in lines}


def _explore(
    name: str, options: argparse.Namespace, base: Path, seconds: float, known: set[str], results: Path
) -> int:
    end = alone.REAL_MONOTONIC() + seconds
    workplace(base, name)
    prepared = Prepared.of(World(), FLOWS[name])
    (plain,) = explored(prepared, [Trace(name)], 1)
    if plain.broken:
        print(f"{name} does not hold undisturbed: {plain.broken}", flush=True)
        return 1
    traces = _chosen(sampled(name, plain.calls, options.seed), options, known)
    found = 0
    for result in explored(prepared, traces, options.jobs, lambda: alone.REAL_MONOTONIC() > end):
        told = shrunk(prepared, result) if result.broken else result
        _write(results, result, told)
        if result.broken:
            found += 1
            print(as_test(told), flush=True)
    return found


def _chosen(traces: Iterator[Trace], options: argparse.Namespace, known: set[str]) -> Iterator[Trace]:
    left = options.most
    for skipped, each in enumerate(traces):
        if left == 0 or skipped > 1_000_000:
            return
        if str(each) not in known and any(fnmatch(event.what, options.fault) for event in each.events):
            known.add(str(each))
            left -= 1
            yield each


def _write(results: Path, result: Result, told: Result) -> None:
    with results.open("a") as file:
        file.write(json.dumps({"trace": str(result.trace), "shrunk": str(told.trace), "broken": told.broken}) + "\n")


sys.exit(main())
