# SPDX-License-Identifier: Apache-2.0
"""python -m tests.explorer: explores, and fails where something was found that is no known gap."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.explorer import alone
from tests.explorer.mutants import MUTANTS


def main() -> int:
    """See the module. The status is 1 where something was found."""
    options = _options()
    alone.install()
    if options.mutant:
        MUTANTS[options.mutant].install()
    if options.serve:
        return _serve()
    if options.replay:
        return _replay(options.replay)
    survived = [name for name in MUTANTS if _survives(name)] if options.mutants else None
    return int(len(survived or ()) + _explore_all(options, survived) > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.explorer", description=__doc__)
    parser.add_argument("--flow", action="append", help="a flow or a glob of flows; repeatable")
    parser.add_argument("--fault", default="*", help="a glob of what happens")
    parser.add_argument("--seconds", type=float, default=3_200, help="for all flows together")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="traces of each flow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--replay", metavar="TRACE", help="run one trace, as it was printed, and show its calls"
    )
    parser.add_argument("--mutants", action="store_true", help="first show that each seeded defect is found")
    parser.add_argument("--mutant", choices=MUTANTS, help="with a seeded defect")
    parser.add_argument("--serve", action="store_true", help="run the traces that are read, a line each")
    parser.add_argument(
        "--results", type=Path, default=Path(".explorer/results.jsonl"), help="traces in it are not run again"
    )
    parser.add_argument("--page", type=Path, help="write the figures of the results into this file")
    return parser.parse_args()


class _Stage:
    """Worlds of flows in temporary directories; the one of the last flow stands. The package is loaded only now."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="explorer-"))
        self.events: Any = importlib.import_module("tests.explorer.events")
        self.traces: Any = importlib.import_module("tests.explorer.traces")
        self.exploration: Any = importlib.import_module("tests.explorer.exploration")
        self.flows: Any = importlib.import_module("tests.explorer.flows").FLOWS
        self.world: Any = importlib.import_module("tests.explorer.world").World()
        self.prepared: Any = None
        #: Flow -> how many traces of one happening it has.
        self.possible: dict[str, int] = {}

    def set(self, flow: str) -> Any:
        """The world of ``flow``, ready for traces."""
        if self.prepared is None or self.prepared.flow.name != flow:
            self.exploration.workplace(self.base, flow)
            self.prepared = self.traces.Prepared.of(self.world, self.flows[flow])
        return self.prepared

    def run(self, text: str) -> Any:
        """The result of one trace."""
        trace = self.events.Trace.parse(text)
        try:
            prepared = self.set(trace.flow)
        except Exception as error:  # noqa: BLE001  # a defect may keep a flow from even beginning
            self.prepared = None
            return self.events.Result(trace, (f"prepares: {error!r}"[:300],))
        (result,) = self.exploration.explored(prepared, [trace], 1)
        return result

    def sample(self, flow: str, number: int) -> list[Any]:
        """The results of the first traces of the sample with seed 0, and of the undisturbed flow."""
        prepared = self.set(flow)
        (plain,) = self.exploration.explored(prepared, [self.events.Trace(flow)], 1)
        chosen = itertools.islice(self.exploration.sampled(flow, plain.calls, 0), number)
        return [plain, *self.exploration.explored(prepared, chosen, 1)]


def _serve() -> int:
    """A line is a trace, or ``sample FLOW NUMBER``. The answer: what is new of what they break; where none came to."""
    from tests.explorer import gaps

    stage = _Stage()
    for line in sys.stdin:
        kind, *given = line.split()
        results = stage.sample(given[0], int(given[1])) if kind == "sample" else [stage.run(line.strip())]
        broken = [
            f"{each.trace}: {what}" for each in results for what in gaps.new(str(each.trace), each.broken)
        ]
        print(json.dumps({"broken": broken, "missed": results[0].missed}), flush=True)
    return 0


def _replay(text: str) -> int:
    result = _Stage().run(text)
    for call in result.calls:
        print(f"{'*' if call.changes else ' '} {call}")
    print(*filter(None, (*result.broken, result.missed)), sep="\n")
    return int(bool(result.broken))


def _survives(name: str) -> bool:
    command = [sys.executable, "-m", "tests.explorer", "--mutant", name, "--replay", MUTANTS[name].trace]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    survives = done.returncode != 1 or ": " not in done.stdout
    print(f"seeded defect {name}: {'NOT found' if survives else 'found'}", flush=True)
    return survives


def _explore_all(options: argparse.Namespace, survived: list[str] | None) -> int:
    from tests.explorer import gaps, page

    stage, results = _Stage(), options.results.resolve()
    target = options.page.resolve() if options.page else None
    results.parent.mkdir(parents=True, exist_ok=True)
    names = [name for name in stage.flows if any(fnmatch(name, each) for each in options.flow or ["*"])]
    found = 0
    for number, name in enumerate(names):
        seconds = (options.seconds - alone.REAL_MONOTONIC() + _BEGAN) / (len(names) - number)
        found += _explore(stage, name, options, seconds, results)
    for gap in gaps.GAPS:
        if all(fnmatch(gap.witness, f"{name}: *") is False for name in names):
            continue
        if not gaps.new("", stage.run(gap.witness).broken):
            print(f"a known gap is closed, take it out of gaps.py: {gap.witness}", flush=True)
            found += 1
    if target:
        target.write_text(page.written(target.read_text(), results, stage.possible, survived))
    return found


def _explore(stage: _Stage, name: str, options: argparse.Namespace, seconds: float, results: Path) -> int:
    from tests.explorer import gaps

    end = alone.REAL_MONOTONIC() + seconds
    prepared, exploration = stage.set(name), stage.exploration
    (plain,) = exploration.explored(prepared, [stage.events.Trace(name)], 1)
    if plain.broken:
        print(f"{name} does not hold undisturbed: {plain.broken}", flush=True)
        return 1
    stage.possible[name] = len(exploration.singles(name, plain.calls))
    lines = results.read_text().splitlines() if results.exists() else []
    known = {json.loads(line)["trace"] for line in lines}
    traces = _chosen(exploration.sampled(name, plain.calls, options.seed), options, known)
    found = run = 0
    for result in exploration.explored(prepared, traces, options.jobs, lambda: alone.REAL_MONOTONIC() > end):
        broken, run = gaps.new(str(result.trace), result.broken), run + 1
        line = {"trace": str(result.trace), "broken": broken, "gap": result.broken != broken}
        with results.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if broken:
            found += 1
            print(exploration.as_test(exploration.shrunk(prepared, result)), flush=True)
    print(f"{name}: {run} traces, {found} found", flush=True)
    return found


def _chosen(traces: Iterator[Any], options: argparse.Namespace, known: set[str]) -> Iterator[Any]:
    left = options.most
    for looked_at, each in enumerate(traces):
        if left == 0 or looked_at > 200_000:
            return
        if str(each) not in known and any(fnmatch(event.what, options.fault) for event in each.events):
            known.add(str(each))
            left -= 1
            yield each


_BEGAN = alone.REAL_MONOTONIC()
if __name__ == "__main__":
    sys.exit(main())
