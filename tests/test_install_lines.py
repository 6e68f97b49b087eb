# SPDX-License-Identifier: Apache-2.0
"""No line of the repository tells anybody to install the package by its name, since no package index has it.

Anybody could register the name, and its start-up file would run in every Python process of whoever followed the line.
A checkout or a wheel file is named instead.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: The name as an index takes it ("Names and normalization", packaging.python.org), and not as part of a path.
_NAME = r"(?<![\w./$-])c7n[-_.]+iamusers(?![\w/*-]|\.\w)"
#: What fetches a package, up to the end of the command or sentence. "uninstall" fetches nothing.
_FETCH = (
    r"(?:\b(?:re-?)?install\b|\b(?:inject|download|upgrade)\b|\beasy_install\b|\buvx\b|--with\b|--from\b|"
    r"\b(?:pip[\d.]*|pipx|pipenv|uv|poetry|pdm|rye|hatch|conda|mamba|pixi)\s+(?:\S+\s+)?(?:add|run|wheel|compile|sync)\b)"
)
_NAMED = re.compile(rf"{_FETCH}(?:(?!(?<=\S)\.\s|[\"']:\s|[;|&`\n]).){{0,160}}?{_NAME}", re.IGNORECASE)
_NAME_ALONE = re.compile(_NAME, re.IGNORECASE)
_PIPED = re.compile(rf"{_NAME}[^\n;&`]*\|\s*(?:uv\s+)?(?:pip|xargs)\b", re.IGNORECASE)
#: A requirement on a line of its own, or as a dependency of a project.
_REQUIREMENT = re.compile(
    rf"^\s*(?:-\s+)?[\"']?{_NAME}(?:\[[\w,\s-]*\])?\s*(?:(?:[=<>~!]=?|@)[^\n]*)?[\"']?,?\s*$",
    re.IGNORECASE | re.M,
)
_LISTS = re.compile(r"requirements|constraints|Pipfile|environment\.ya?ml|\.in$|\.lock$", re.IGNORECASE)
#: A line break after which a shell command or a comment goes on.
_CONTINUED = re.compile(r"\\\n[ \t]*|\n[ \t]*(?:#:?|//|>)[ \t]*")
#: A line break inside a paragraph; code in it is indented by four or more.
_WRAPPED = re.compile(r"(?<=\S)\n[ ]{0,3}(?=\S)")


def named_by_its_index_name(text: str, file: str = "README.md") -> list[str]:
    """The commands and requirements in ``text`` of ``file`` that name the package as an index would."""
    pieces = [_CONTINUED.sub(" ", text)]
    if file.endswith(".py"):
        strings = (each for each in _strings(ast.parse(text)) if "iamusers" in each.lower())
        pieces += map(partial(_WRAPPED.sub, " "), map(inspect.cleandoc, strings))
    elif file.endswith(".md"):
        pieces = [_WRAPPED.sub(" ", pieces[0])]
    pieces = [piece for piece in pieces if _NAME_ALONE.search(piece)]
    expressions = (_NAMED, _PIPED)
    found = [match.group() for piece in pieces for each in expressions for match in each.finditer(piece)]
    return found + (_REQUIREMENT.findall(text) if _LISTS.search(Path(file).name) else [])


def _strings(tree: ast.AST) -> Iterator[str]:
    """Each text in Python code, put together where it is written in parts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def text_files() -> Iterator[tuple[str, str]]:
    """Each text file that git tracks, or of an unpacked sdist, with its text."""
    git = shutil.which("git")
    done = git and subprocess.run([git, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    names = done.stdout.split("\0") if done and done.returncode == 0 else _walked()
    for name in filter(None, names):
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue


def _walked() -> list[str]:
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    left_out = re.compile(r"(?:^|/)(?:\.(?!ci/)[^/]*|build|dist|[^/]*\.egg-info)/")
    return [path.as_posix() for path in paths if not left_out.search(f"{path.as_posix()}")]


def test_no_text_file_names_the_package_by_its_index_name() -> None:
    files = dict(text_files())
    assert {
        "README.md",
        "docs/runbook.md",
        "c7n_iamusers_cli/__init__.py",
        "deploy/Dockerfile",
        ".ci/run",
    } <= set(files)
    found = {name: lines for name, text in files.items() if (lines := named_by_its_index_name(text, name))}
    assert found == {}


def test_no_dependency_is_the_package_itself() -> None:
    required = importlib.metadata.requires("c7n_iamusers") or []
    assert required
    assert not [each for each in required if re.match(_NAME, each, re.IGNORECASE)]


@pytest.mark.parametrize(
    "name", ["c7n_iamusers", "c7n-iamusers", "C7N.IamUsers", "c7n_iamusers[cli,org]", "c7n-iamusers==1.0"]
)
@pytest.mark.parametrize(
    "line",
    [
        "`pipx inject c7n NAME`",
        "pip install -U boto3 'NAME'",
        "pip install . NAME",
        "python -m pip install\\\n    --upgrade NAME",
        "RUN /venv/bin/pip3 install --no-cache-dir NAME",
        "uv tool install c7n --with NAME",
        "install it where `custodian` is: `uv tool install c7n\n  --with NAME`",
        "uvx --from NAME custodian",
        "uv add NAME",
        "uv pip compile - NAME",
        "printf '%s\\n' c7n NAME | uv pip compile -",
        "poetry add NAME",
        "conda install -c forge NAME",
        "# Reinstall\n#: NAME",
        "- Install\n  NAME beside it",
    ],
    ids=lambda line: line[:28],
)
def test_a_line_that_fetches_the_name_is_found(line: str, name: str) -> None:
    assert named_by_its_index_name(line.replace("NAME", name))


@pytest.mark.parametrize(
    "code",
    [
        'sys.exit(f"{error} is not installed: pip install "\n    f"\'NAME[{extra}]\'")',
        'def run():\n    """Run pip install\n    NAME first."""',
        'subprocess.run(["pip", "install", "NAME"])',
        "run()  # pip install\n# NAME",
    ],
    ids=["message", "docstring", "arguments", "comment"],
)
def test_texts_of_the_code_are_read(code: str) -> None:
    assert named_by_its_index_name(code.replace("NAME", "c7n_iamusers"), "run.py")
    assert not named_by_its_index_name(code.replace("NAME", "./c7n_iamusers"), "run.py")


@pytest.mark.parametrize("line", ["NAME", "NAME==1.0 \\", "NAME[cli]>=0.1"])
def test_a_requirement_is_found_in_a_list_of_them(line: str) -> None:
    listed = f"boto3\n{line.replace('NAME', 'c7n_iamusers')}\nc7n\n"
    assert named_by_its_index_name(listed, "deploy/requirements.txt")
    assert not named_by_its_index_name(listed, "docs/findings.md")


@pytest.mark.parametrize(
    "line",
    [
        "pipx inject c7n .",
        "pipx inject c7n dist/c7n_iamusers-*.whl",
        "uv tool install c7n --with ./dist/c7n_iamusers-1.0.0-py3-none-any.whl",
        "pip install 'dist/c7n_iamusers-1.0.0-py3-none-any.whl[cli]'",
        "pip install ../c7n_iamusers",
        "pip install '.[cli]' && python -m c7n_iamusers.custodian",
        "pip uninstall c7n_iamusers",
        "pip install . Then run `c7n-iamusers evidence`",
        "pip install '.[cli]'; c7n-iamusers --version",
        "pip install '.[cli,org,local]'\n\nc7n-iamusers evidence",
        "packages: [c7n_iamusers]",  # Cloud Custodian copies what is importable; it asks no index
    ],
)
def test_a_path_and_a_program_are_not(line: str) -> None:
    assert not named_by_its_index_name(line)
