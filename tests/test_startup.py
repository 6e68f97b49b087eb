# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from c7n.manager import resources
from c7n.version import version as c7n_version

from c7n_iamusers import entry, startup

ROOT = Path(startup.__file__).parents[1]


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that stands in for c7n.resources.iam, in a process without the hook; its file."""
    name = f"target_{tmp_path.name}"
    monkeypatch.setattr(startup, "TARGET", name)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.delenv(startup.OPT_OUT, raising=False)
    monkeypatch.setattr(resources, "_subscribers", [])
    monkeypatch.syspath_prepend(tmp_path)
    startup.remove_finder()
    file = tmp_path / f"{name}.py"
    file.write_text("USER = 'loaded'\n", encoding="utf-8")
    return file


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each call of entry.register() adds what it saw of the target."""
    seen: list[str] = []
    monkeypatch.setattr(entry, "register", lambda: seen.append(sys.modules[startup.TARGET].USER))
    return seen


def load_resource(name: str = "iam-user") -> None:
    """Let a policy ask for a resource, as c7n's load_resources() does."""
    resources.notify(type("Resource", (), {"type": name}))


def finders() -> int:
    return sum(isinstance(finder, startup.RegisteringFinder) for finder in sys.meta_path)


def test_registers_once_the_resource_is_loaded_and_leaves_nothing(
    target: Path, registered: list[str]
) -> None:
    startup.register()
    module = importlib.import_module(target.stem)
    load_resource("ec2")
    load_resource("iam-role")
    assert registered == []

    load_resource()

    assert registered == ["loaded"]
    assert finders() == 0
    assert type(module.__loader__) is type(module.__spec__.loader) is SourceFileLoader  # type: ignore[union-attr]
    assert inspect.getsource(module) == "USER = 'loaded'\n"
    importlib.reload(module)
    load_resource()
    assert registered == ["loaded"]


def test_installing_again_changes_nothing(target: Path, registered: list[str]) -> None:
    startup.register()
    startup.register()
    assert finders() == 1
    importlib.import_module(target.stem)
    load_resource()
    assert (registered, finders()) == (["loaded"], 0)


def test_registers_at_once_if_the_target_is_loaded(target: Path, registered: list[str]) -> None:
    importlib.import_module(target.stem)
    startup.register()
    assert (registered, finders()) == (["loaded"], 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("0", 0, id="opted-out"),
        pytest.param("false", 0, id="false"),
        pytest.param("No", 0, id="no"),
        pytest.param("OFF", 0, id="off"),
        pytest.param(" 0 ", 0, id="spaces"),
        pytest.param("true", 1, id="true"),
        pytest.param("00", 1, id="another-number"),
        pytest.param("1", 1, id="opted-in"),
        pytest.param("", 1, id="empty"),
    ],
)
def test_opt_out(target: Path, monkeypatch: pytest.MonkeyPatch, value: str, expected: int) -> None:
    monkeypatch.setenv(startup.OPT_OUT, value)
    startup.register()
    assert finders() == expected


@pytest.mark.parametrize("name", ["c7n.resources", "c7n.resources.iam.x", "iam", "c7n.resources.iamx"])
def test_no_other_module_is_touched(name: str) -> None:
    assert startup.RegisteringFinder().find_spec(name) is None


def test_looking_for_the_target_does_not_register(target: Path, registered: list[str]) -> None:
    startup.register()
    spec = importlib.util.find_spec(target.stem)
    assert spec is not None
    assert spec.origin == str(target)
    assert spec.loader.get_filename(target.stem) == str(target)  # type: ignore[union-attr]  # the real loader's
    assert (registered, finders()) == ([], 1)


def test_a_target_that_is_not_there_is_not_found(target: Path, registered: list[str]) -> None:
    target.unlink()
    startup.register()
    with pytest.raises(ModuleNotFoundError, match=target.stem):
        importlib.import_module(target.stem)
    assert (registered, finders()) == ([], 1)


def test_a_target_that_fails_to_load_may_be_tried_again(target: Path, registered: list[str]) -> None:
    target.write_text("raise ImportError('a library is missing')\n", encoding="utf-8")
    startup.register()
    with pytest.raises(ImportError, match="a library is missing"):
        importlib.import_module(target.stem)
    assert registered == []

    target.write_text(
        "USER = 'mended'\n# another size, so that no cached bytecode passes for it\n", encoding="utf-8"
    )
    importlib.invalidate_caches()
    importlib.import_module(target.stem)
    load_resource()
    assert (registered, finders()) == (["mended"], 0)


def test_an_error_of_registration_is_a_warning(
    target: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise AttributeError("User has no filter_registry")

    monkeypatch.setattr(entry, "register", fail)
    startup.register()
    with caplog.at_level(logging.WARNING, logger="custodian.c7n_iamusers"):
        module = importlib.import_module(target.stem)
        load_resource()
        load_resource()

    assert module.USER == "loaded"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "AttributeError: User has no filter_registry" in caplog.text
    assert "Install it anew from a checkout" in caplog.text


#: Writes down that it was imported.
PLANTED = "import pathlib; pathlib.Path(__file__).parent.joinpath('imported-' + __name__).touch()\n"


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., Path]:
    """Puts modules of the given names into a directory that is nobody's."""

    def planted(*names: str) -> Path:
        directory = tmp_path / "somewhere"
        directory.mkdir()
        for name in names:
            (directory / name).mkdir()
            (directory / name / "__init__.py").write_text(PLANTED, encoding="utf-8")
        return directory

    return planted


def run_in(directory: Path, *arguments: str, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A Python process in ``directory`` with PYTHONPATH ``path``; no planted module may have been imported."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not list(directory.glob("imported-*")), done.stderr
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("path", [":", f":{os.sep}", ".", "./", f"{os.sep}:"], ids=repr)
def test_the_hook_imports_nothing_from_the_working_directory(plant: Callable[..., Path], path: str) -> None:
    # -S, as the hook may already run in this environment
    code = (
        f"import site, sys; sys.path.remove(''); sys.path.append({str(ROOT)!r}); before = sys.path[:]; "
        f"site.addpackage({str(ROOT)!r}, 'c7n_iamusers.pth', set()); "
        "import c7n_iamusers; print(c7n_iamusers.__file__, sys.path == before, len(sys.meta_path))"
    )
    done = run_in(plant("c7n_iamusers"), "-S", "-c", code, path=path)
    assert done.stdout.split() == [str(ROOT / "c7n_iamusers" / "__init__.py"), "True", "4"]


def test_the_hook_takes_a_package_that_pythonpath_names_in_full(tmp_path: Path) -> None:
    code = "import c7n_iamusers; print(c7n_iamusers.__file__)"
    done = run_in(ROOT, "-c", code, path=f":{ROOT}")
    assert (done.stdout.strip(), done.stderr) == (str(ROOT / "c7n_iamusers" / "__init__.py"), "")


def test_the_hook_works_where_the_working_directory_was_removed(tmp_path: Path) -> None:
    # Python 3.13.0 itself can't import a codec where there is no working directory
    code = (
        f"import codecs, os, site, sys; codecs.lookup('utf-8-sig'); sys.path.append({str(ROOT)!r}); "
        "os.mkdir('gone'); os.chdir('gone'); "
        f"os.rmdir('../gone'); site.addpackage({str(ROOT)!r}, 'c7n_iamusers.pth', set()); print(len(sys.meta_path))"
    )
    done = run_in(tmp_path, "-S", "-c", code, path=":")
    assert (done.stdout, done.stderr) == ("4\n", "")


def test_custodian_by_module_imports_nothing_from_the_working_directory(plant: Callable[..., Path]) -> None:
    directory = plant("c7n", "boto3", "botocore", "jmespath", "yaml", "dateutil")
    done = run_in(directory, "-m", "c7n_iamusers.custodian", "version", path=str(ROOT))
    assert done.stdout.strip() == c7n_version


def test_the_plugins_import_nothing_from_the_working_directory(
    plant: Callable[..., Path], tmp_path: Path
) -> None:
    code = (
        "import sys; sys.path.remove(''); import c7n.resources.iam; sys.path.insert(0, ''); "
        "import c7n_iamusers.startup as startup; before = set(sys.modules); startup.register_or_warn(); "
        "print(*sorted({name for name in set(sys.modules) - before if '.' not in name}), sys.path[0] == '')"
    )
    *names, first = run_in(tmp_path, "-c", code, path=str(ROOT), C7N_IAMUSERS_AUTOLOAD="0").stdout.split()
    assert (first, bool(names)) == ("True", True)
    done = run_in(plant(*names), "-c", code, path=str(ROOT), C7N_IAMUSERS_AUTOLOAD="0")
    assert (done.stdout.split(), done.stderr) == ([*names, "True"], "")


def test_the_hook_imports_nothing_else() -> None:
    code = (
        "import os, sys; before = set(sys.modules); import c7n_iamusers.startup as startup; startup.register(); "
        "print(*sorted(set(sys.modules) - before))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # -S, as the hook may already run in this environment
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["c7n_iamusers", "c7n_iamusers.startup"]


#: Writes its name, then takes the place of the module that it hides.
HIDING = """import sys
sys.stderr.write("taken " + __name__ + "\\n")
path = sys.path[:]
sys.path[:] = [each for each in path if each and each != {place!r}]
del sys.modules[__name__]
__import__(__name__)
sys.path[:] = path
"""


def hidden_modules(python: Path, directory: Path, module: str, path: Path) -> set[str]:
    """Which modules of the working directory ``directory``, one for each of the standard library, ``module`` takes."""
    run = [str(python), "-m", module, "version"]
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(run, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return {line.split()[1] for line in done.stderr.splitlines() if line.startswith("taken ")}


def pythons() -> list[Path]:
    """This Python, and others that are at hand."""
    versions = Path.home() / ".pyenv" / "versions"
    others = [found for minor in (10, 11, 12, 13, 14) for found in versions.glob(f"3.{minor}.*/bin/python")]
    return [Path(sys.executable), *others]


@pytest.mark.parametrize("python", pythons(), ids=str)
def test_custodian_by_module_takes_no_standard_module_from_the_working_directory(
    python: Path, tmp_path: Path
) -> None:
    trap, empty = tmp_path / "trap", tmp_path / "empty"
    for each in (trap, empty / "nothing"):
        each.mkdir(parents=True)
    (empty / "nothing" / "__init__.py").touch()
    (empty / "nothing" / "main.py").touch()
    for name in sys.stdlib_module_names - set(sys.builtin_module_names):
        (trap / f"{name}.py").write_text(HIDING.format(place=str(trap)), encoding="utf-8")
    # Python itself takes importlib or runpy from there, before any code of ours
    by_python = hidden_modules(python, trap, "nothing.main", empty)
    assert hidden_modules(python, trap, "c7n_iamusers.custodian", ROOT) == by_python
    assert by_python <= {"importlib", "runpy", "types", "warnings", "pkgutil"}
