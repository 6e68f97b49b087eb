# SPDX-License-Identifier: Apache-2.0
"""Do the tests fail when the code is wrong? ``make mutants`` changes it in one place at a time, and runs them.

A mutant is one function with one small error: a condition turned round, a call left out, a value that is one more. It
is killed if a test fails that runs the changed line, and survives otherwise. First all tests run once, to learn which
lines each of them runs (``.mutants/``, renewed with ``--learn``; with ``--under``, only those of some directories or
files, each learned once). Then each mutant runs the tests of its line, in a process that is forked from one which has
imported all libraries, and nothing of this project. Of a line that hundreds run, half of these are tests that run what
few others do of its function. A line that runs only while its module is imported, as a schema does, has the tests of
the module.

A random sample is tried (``--sample``, ``--seed``), in equal parts from each room.
``tests/data/equivalent_mutants.txt`` lists those that change nothing that can be seen, each with the reason.

What this does not see: code that runs only in processes that tests start.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.machinery
import importlib.util
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

TREE = Path(__file__).resolve().parent.parent
PACKAGE = TREE / "c7n_iamusers"
CACHE = TREE / ".mutants"
EQUIVALENT = Path(__file__).parent / "data" / "equivalent_mutants.txt"
PACKAGES = (PACKAGE, TREE / "c7n_iamusers_cli")


def _room_of(path: Path) -> str:
    """The room of the module at ``path``, below the tree. Modules beside the rooms are one, and so is the command."""
    package, *inner = path.parts[:-1]
    if not inner or package != PACKAGE.name:
        return package
    return "/".join(inner[:2]) if inner[0] == "identity_center" else inner[0]


def _modules() -> dict[str, list[Path]]:
    """Room -> its modules."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(path for package in PACKAGES for path in package.rglob("*.py")):
        found[_room_of(path.relative_to(TREE))].append(path)
    return dict(sorted(found.items()))


MODULES = _modules()
#: Tests of a line that are run at most, and the seconds that they took while learning.
MOST_TESTS, MOST_SECONDS = 200, 40.0
#: tests/conftest.py leaves out most cases of wide tables otherwise.
_EVERY_CASE = {"EVERY_CASE": "1"}
#: Parts of the sample that are to be killed.
FLOOR = 0.92

SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
LOGS = {"log", "_log", "LOG", "_LOG", "logger"}


@dataclass(frozen=True, order=True)
class Mutant:
    """``number``: the place among all of its module. ``key``: the same whatever is written above the function.

    ``lines``: of the function.
    """

    path: str
    number: int
    line: int = field(compare=False)
    key: str = field(compare=False)
    lines: range = field(compare=False)

    @property
    def room(self) -> str:
        return _room_of(Path(self.path))

    @property
    def tests(self) -> str:
        """How the ids of the tests of its room begin."""
        beside = {PACKAGE.name: "tests/test_", "c7n_iamusers_cli": "tests/cli/"}
        return beside.get(self.room, f"tests/{self.room}/")

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.key}"


class _Mutator(ast.NodeTransformer):
    """Counts what can be changed in functions, and changes the place of number ``wanted``."""

    def __init__(self, path: str, wanted: int | None = None) -> None:
        self.path = path
        self.wanted = wanted
        self.found: list[Mutant] = []
        self._names: list[str] = []
        self._functions: list[range] = []
        self._seen: Counter[str] = Counter()

    def _here(self, node: ast.expr | ast.stmt, change: str) -> bool:
        """True if this is the place. Notes it in any case."""
        if not self._functions:
            return False
        text = f"{'.'.join(self._names)}: {change}"
        self._seen[text] += 1
        key = text if self._seen[text] == 1 else f"{text} ({self._seen[text]})"
        self.found.append(Mutant(self.path, len(self.found), node.lineno, key, self._functions[-1]))
        return self.wanted == len(self.found) - 1

    def visit_ClassDef(self, node: ast.ClassDef | ast.FunctionDef) -> Any:
        self._names.append(node.name)
        node.body = [changed for each in node.body if (changed := self.visit(each)) is not None]
        self._names.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self._functions.append(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        self.visit_ClassDef(node)
        self._functions.pop()
        return node

    def visit_Compare(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        swapped = SWAPPED[type(node.ops[0])]
        if self._here(node, f"{_short(node)} with {swapped.__name__}"):
            node.ops[0] = swapped()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        self.generic_visit(node)
        places = [self._here(node, f"{_short(node)} without {_short(value)}") for value in node.values]
        if any(places):
            del node.values[places.index(True)]
        return node if len(node.values) > 1 else node.values[0]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and self._here(node, f"{_short(node)} without not"):
            return node.operand
        return node

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        if self._here(node, f"if {_short(node.test)} never"):
            node.test = ast.Constant(False)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        self.generic_visit(node)
        if self._here(node, f"{_short(node)} the second"):
            return node.orelse
        return node

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        self.generic_visit(node)
        if node.ifs and self._here(node.iter, f"for {_short(node.target)} in all {_short(node.iter)}"):
            node.ifs = []
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        self.generic_visit(node)
        # None serves as well as another value that counts as false
        if node.value is None or (isinstance(node.value, ast.Constant) and not node.value.value):
            return node
        if self._here(node, f"return None for {_short(node.value)}"):
            node.value = ast.Constant(None)
        return node

    def visit_Expr(self, node: ast.Expr) -> Any:
        if isinstance(node.value, ast.Constant) or _is_log(node.value):
            return node
        self.generic_visit(node)
        return ast.Pass() if self._here(node, f"no {_short(node.value)}") else node

    def visit_Raise(self, node: ast.Raise) -> Any:
        self.generic_visit(node)
        return ast.Pass() if self._here(node, "no raise") else node

    def visit_Constant(self, node: ast.Constant) -> Any:
        value = node.value
        if isinstance(value, bool):
            return ast.Constant(not value) if self._here(node, f"{not value} for {value}") else node
        if isinstance(value, int) and self._here(node, f"{value + 1} for {value}"):
            return ast.Constant(value + 1)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        """What people read is another matter."""
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node


def _is_log(node: ast.expr) -> bool:
    call = node.func if isinstance(node, ast.Call) else None
    owner = call.value if isinstance(call, ast.Attribute) else None
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name in LOGS


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def mutants_of(source: str, path: str) -> list[Mutant]:
    """Every mutant of the module with ``source``. ``path``: below the tree."""
    mutator = _Mutator(path)
    mutator.visit(ast.parse(source))
    return mutator.found


def mutated(source: str, mutant: Mutant) -> ast.Module:
    """The module with ``source`` as ``mutant`` has it."""
    tree = _Mutator(mutant.path, mutant.number).visit(ast.parse(source))
    assert isinstance(tree, ast.Module)
    return ast.fix_missing_locations(tree)


# Learning which tests run a line


@dataclass
class Lines:
    """``tests``: node ids, and the seconds that each took. ``of``: path -> line -> indices of the tests that run it.

    ``whole``: without bounds on the tests of a line.
    """

    tests: list[tuple[str, float]] = field(default_factory=list)
    of: dict[str, dict[int, array[int]]] = field(default_factory=lambda: defaultdict(dict))
    whole: bool = False

    def add(self, tests: list[tuple[str, float]], of: dict[str, dict[int, array[int]]]) -> None:
        """Also the lines that other ``tests`` run."""
        first = len(self.tests)
        self.tests += tests
        for path, lines in of.items():
            for line, indices in lines.items():
                self.of[path].setdefault(line, array("H")).extend(first + index for index in indices)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that run the line of ``mutant``, or its module where none runs the line, within the bounds.

        Up to half are those that run what few others do of its function: they take another way through it. Those of its
        room come first, then the quickest. ``whole``: all, and first those that take another way.
        """
        module = self.of.get(mutant.path, {})
        running = set(module.get(mutant.line) or (index for each in module.values() for index in each))
        fewest = dict.fromkeys(running, len(running))
        for line in mutant.lines:
            found = module.get(line, ())
            for index in running.intersection(found):
                fewest[index] = min(fewest[index], len(found))

        def quick(index: int) -> tuple[bool, float]:
            name, took = self.tests[index]
            return not name.startswith(mutant.tests), took

        rare = sorted(running, key=lambda index: (fewest[index], *quick(index)))
        if self.whole:
            return [self.tests[index][0] for index in rare]
        chosen, seconds = set[int](), 0.0
        for order, part in ((rare, 0.5), (sorted(running, key=quick), 1)):
            for index in order:
                took = seconds + self.tests[index][1]
                if len(chosen) < MOST_TESTS * part and took <= MOST_SECONDS * part and index not in chosen:
                    chosen.add(index)
                    seconds = took
        return [self.tests[index][0] for index in sorted(chosen or rare[:1], key=quick)]


class _Learning:
    """A plugin of pytest that notes each line of the packages which a test runs, by ``sys.monitoring``."""

    TOOL = 4
    #: Python 3.12 and newer has it.
    _monitoring: Any = getattr(sys, "monitoring", None)

    def __init__(self) -> None:
        self.lines = Lines()
        self._running: set[tuple[str, int]] = set()
        self._prefixes = tuple(f"{package}{os.sep}" for package in PACKAGES)
        monitoring = self._monitoring
        monitoring.use_tool_id(self.TOOL, "mutants")
        monitoring.register_callback(self.TOOL, monitoring.events.LINE, self._line)
        monitoring.set_events(self.TOOL, monitoring.events.LINE)

    def _line(self, code: CodeType, line: int) -> Any:
        if code.co_filename.startswith(self._prefixes):
            self._running.add((code.co_filename, line))
        return self._monitoring.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._monitoring.restart_events()
        self._running.clear()
        began = time.monotonic()
        result = yield
        index = len(self.lines.tests)
        self.lines.tests.append((item.nodeid, time.monotonic() - began))
        for name, line in self._running.copy():
            path = str(Path(name).relative_to(TREE))
            self.lines.of[path].setdefault(line, array("H")).append(index)
        return result


def learn(part: int, parts: int, under: str) -> None:
    """Run every ``parts``-th test file below ``under`` and write which lines its tests run."""
    # tests/identity_center/remembered_runs.py: each test runs all of its lines
    os.environ.update(_EVERY_CASE, LEARNS_LINES="1")
    learning = _Learning()
    place = TREE / under
    files = sorted(map(str, [place] if place.is_file() else place.rglob("test_*.py")))[part::parts]
    if files:
        pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:randomly", *files], plugins=[learning])
    _cache(under, f".{part}").write_bytes(pickle.dumps((learning.lines.tests, dict(learning.lines.of))))


def _cache(under: str, suffix: str = ".pickle") -> Path:
    return CACHE / f"{under.strip('/').replace('/', '.')}{suffix}"


def learned(workers: int, anew: bool, directories: Iterable[str]) -> Lines:
    """Which tests below ``directories`` run which lines: as learned before, or ``anew``."""
    CACHE.mkdir(exist_ok=True)
    joined = Lines()
    for under in directories:
        if anew or not _cache(under).exists():
            print(f"learning which tests below {under} run which lines", flush=True)
            command = [sys.executable, "-m", "tests.mutants", "--under", under, "--learn-part"]
            parts = [
                subprocess.Popen([*command, f"{part}/{workers}"], cwd=TREE, stdout=subprocess.DEVNULL)
                for part in range(workers)
            ]
            if any(part.wait() for part in parts):
                sys.exit("the tests could not be run: see make test")
            read = Lines()
            for part in range(workers):
                read.add(*pickle.loads(_cache(under, f".{part}").read_bytes()))
            _cache(under).write_bytes(pickle.dumps((read.tests, dict(read.of))))
        joined.add(*pickle.loads(_cache(under).read_bytes()))
    return joined


# Running


class _Selected:
    """A plugin of pytest that runs the tests ``names`` in this order, and no others."""

    def __init__(self, names: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self._place), key=lambda i: self._place[i.nodeid])


def preload() -> None:
    """Import every library that the tests need, and nothing of this project, so that forks have them."""
    ours = ("c7n_iamusers", "c7n_iamusers_cli", "aws_local_org", "tests", "c7n.resources", "__")
    code = f"import tests.conftest, sys; print(*(m for m in sys.modules if not m.startswith({ours})))"
    names = subprocess.run(
        [sys.executable, "-c", code], cwd=TREE, capture_output=True, text=True, check=True
    ).stdout
    for name in names.split():
        # an optional part of a library fails, as the library itself finds out
        with suppress(Exception):
            importlib.import_module(name)


def _load_mutated(mutant: Mutant) -> None:
    """From now on, importing the module of ``mutant`` loads the mutant."""
    target = str(TREE / mutant.path)
    get_code = importlib.machinery.SourceFileLoader.get_code

    def replaced(loader: Any, name: str) -> CodeType | None:
        if loader.get_filename(name) != target:
            return get_code(loader, name)
        source = Path(target).read_text(encoding="utf-8")
        return compile(mutated(source, mutant), target, "exec", dont_inherit=True)

    importlib.machinery.SourceFileLoader.get_code = replaced  # type: ignore[assignment,method-assign]


def outcome(mutant: Mutant | None, names: Sequence[str], seconds: float) -> int | None:
    """The exit code of pytest over the tests ``names``, which stop at the first failure; None if they take too long."""
    child = os.fork()
    if not child:
        os.setsid()
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        os.environ.update(_EVERY_CASE)
        if mutant is not None:
            _load_mutated(mutant)
        files = list(dict.fromkeys(name.partition("::")[0] for name in names))
        code = int(pytest.ExitCode.INTERNAL_ERROR)
        try:
            code = int(
                pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], plugins=[_Selected(names)])
            )
        finally:
            os._exit(code)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def sample(lines: Lines, rooms: Sequence[str], size: int, seed: int) -> list[Mutant]:
    """``size`` mutants at random, in equal parts from ``rooms``, less those known as equivalent."""
    equivalent = known_equivalent()
    chance = random.Random(seed)
    chosen: list[Mutant] = []
    for room in rooms:
        every = [
            mutant
            for path in MODULES[room]
            for mutant in mutants_of(path.read_text(encoding="utf-8"), str(path.relative_to(TREE)))
            if f"{mutant.path}: {mutant.key}" not in equivalent
        ]
        chosen += chance.sample(every, min(len(every), -(-size // len(rooms))))
    chance.shuffle(chosen)
    return chosen[:size]


def known_equivalent() -> dict[str, str]:
    """``path: key`` of each mutant that changes nothing that can be seen -> why."""
    rows = EQUIVALENT.read_text(encoding="utf-8").splitlines() if EQUIVALENT.exists() else []
    split = (row.rpartition("  # ") for row in rows if row and not row.startswith("#"))
    return {key: reason for key, _, reason in split}


def try_all(
    mutants: Iterable[Mutant], lines: Lines, workers: int, tell: Callable[[str], None]
) -> list[Mutant]:
    """The mutants that survive. ``tell`` is told of each."""

    def survives(mutant: Mutant) -> bool:
        names = lines.tests_of(mutant)
        took = sum(seconds for name, seconds in lines.tests if name in set(names))
        code = outcome(mutant, names, 60 + 10 * took) if names else 0
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            sys.exit(f"{names[0]} is no longer there: run again with --learn")
        tell(
            f"{'SURVIVED' if code == 0 else 'killed  '} {mutant}"
            + ("" if mutant.line in lines.of.get(mutant.path, {}) else "  (no test runs this line)")
        )
        return code == 0

    mutants = list(mutants)
    with ThreadPoolExecutor(workers) as pool:
        return [mutant for mutant, alive in zip(mutants, pool.map(survives, mutants), strict=True) if alive]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--sample", type=int, default=300, help="mutants to try (300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", action="append", choices=MODULES, help="of this room only; may be repeated")
    parser.add_argument("--only", help="of which path and text hold this only, such as reasons_to_spare.py")
    parser.add_argument("--learn", action="store_true", help="learn anew which tests run which lines")
    parser.add_argument(
        "--under",
        action="append",
        help="use the tests of this file, or below this directory, only; may be repeated (tests)",
    )
    parser.add_argument("--whole", action="store_true", help="run all tests of a line, however many")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--learn-part", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.learn_part:
        part, parts = map(int, options.learn_part.split("/"))
        learn(part, parts, options.under[0])
        return 0
    lines = replace(learned(options.workers, options.learn, options.under or ["tests"]), whole=options.whole)
    mutants = sample(
        lines, options.room or [*MODULES], options.sample if not options.only else sys.maxsize, options.seed
    )
    if options.only:
        mutants = [each for each in mutants if options.only in str(each)][: options.sample]
    preload()
    began = time.monotonic()
    alive = try_all(mutants, lines, options.workers, lambda text: print(text, flush=True))
    return _summary(mutants, alive, (time.monotonic() - began) / 60)


def _summary(mutants: Sequence[Mutant], alive: Sequence[Mutant], minutes: float) -> int:
    """The exit code: 1 if too many are alive. Prints how many were tried and killed."""
    tried, survived = Counter(each.room for each in mutants), Counter(each.room for each in alive)
    print(f"\n{'room':<26} tried  killed")
    for room in sorted(tried):
        print(f"{room:<26} {tried[room]:>5}  {1 - survived[room] / tried[room]:>6.0%}")
    killed = 1 - len(alive) / max(1, len(mutants))
    print(f"{'all':<26} {len(mutants):>5}  {killed:>6.0%}   in {minutes:.0f} minutes")
    return int(killed < FLOOR)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
