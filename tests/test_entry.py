# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from c7n.config import Bag, Config
from c7n.exceptions import PolicyValidationError
from c7n.policy import Policy
from c7n.query import sources as every_source
from c7n.resources import load_resources
from c7n.resources.iam import User

import c7n_iamusers
from c7n_iamusers import entry
from c7n_iamusers.exceptions import NameTaken

ROOT = Path(c7n_iamusers.__file__).parents[1]
PLUGINS = {**entry.SOURCES, **entry.FILTERS, **entry.ACTIONS}

KNOWS_ALL = """
from c7n.query import sources
from c7n.resources import load_resources
load_resources(("aws.iam-user",))
from c7n.resources.iam import User
from c7n_iamusers import entry
unknown = (
    set(entry.SOURCES) - set(sources.keys())
    | set(entry.FILTERS) - set(User.filter_registry.keys())
    | set(entry.ACTIONS) - set(User.action_registry.keys())
)
assert not unknown, unknown
"""


@pytest.mark.parametrize(("name", "reference"), entry.FILTERS.items(), ids=list(entry.FILTERS))
def test_filters_are_registered(name: str, reference: str) -> None:
    c7n_iamusers.register()
    assert User.filter_registry[name] is resolve_name(reference)
    assert User.filter_registry[name].type == name


@pytest.mark.parametrize(("name", "reference"), entry.ACTIONS.items(), ids=list(entry.ACTIONS))
def test_actions_are_registered(name: str, reference: str) -> None:
    c7n_iamusers.register()
    assert User.action_registry[name] is resolve_name(reference)
    assert User.action_registry[name].type == name


@pytest.mark.parametrize(("name", "reference"), entry.SOURCES.items(), ids=list(entry.SOURCES))
def test_sources_are_registered(name: str, reference: str) -> None:
    c7n_iamusers.register()
    assert every_source[name] is resolve_name(reference)
    assert User.source_mapping.keys() == {"describe", "config"}


def registered() -> list[dict[str, Any]]:
    return [dict(each.items()) for each in (every_source, User.filter_registry, User.action_registry)]


def test_registering_again_changes_nothing() -> None:
    entry.register()
    before = registered()
    entry.register()
    assert registered() == before


STOCK_IS_UNTOUCHED = """
import sys
from c7n.resources import load_resources
load_resources(("aws.iam-user",))

def stock():
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "c7n"]
    found = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    return {each: dict(vars(each)) for each in found if each.__module__.startswith("c7n.")}

before = stock()
import c7n_iamusers
c7n_iamusers.register()
from c7n_iamusers.plugins import notify_owners
changed = [each.__name__ for each, was in before.items() if dict(vars(each)) != was]
assert len(before) > 100 and not changed, changed
"""


def test_no_class_of_cloud_custodian_is_changed() -> None:
    run_python(STOCK_IS_UNTOUCHED)


class Other:
    """A plugin of another package."""

    type = ""
    type_aliases: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("registry", "name", "aliases"),
    [
        pytest.param(User.action_registry, "quarantine", (), id="action"),
        pytest.param(User.filter_registry, "attempts", (), id="filter"),
        pytest.param(every_source, "authorization-details", (), id="source"),
        pytest.param(User.action_registry, "of-another-name", ("release",), id="alias"),
    ],
)
def test_a_plugin_of_another_package_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, registry: Any, name: str, aliases: tuple[str, ...]
) -> None:
    for each in (every_source, User.filter_registry, User.action_registry):
        kept = {key: plugin for key, plugin in each.items() if plugin.__module__.startswith("c7n.")}
        monkeypatch.setattr(each, "_factories", kept)
    registry.register(name, Other, aliases=aliases)
    before = registered()
    ours = next(iter(aliases), name)
    with pytest.raises(
        NameTaken, match=f"{registry.plugin_type} has '{ours}' already, by tests.test_entry:Other"
    ):
        entry.register()
    assert registered() == before


def test_an_error_leaves_cloud_custodian_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "FILTERS", {"half": "tests.test_entry:Other"})
    monkeypatch.setattr(entry, "ACTIONS", {"missing": "c7n_iamusers.plugins.missing:Missing"})
    with pytest.raises(ModuleNotFoundError, match=r"c7n_iamusers\.plugins\.missing"):
        entry.register()
    assert "half" not in User.filter_registry


@pytest.mark.parametrize("resource", ["aws.ec2", "aws.iam-role", "aws.s3"])
@pytest.mark.parametrize("source", entry.SOURCES)
def test_a_source_is_refused_to_other_resources(resource: str, source: str) -> None:
    entry.register()
    load_resources([resource])
    with pytest.raises(PolicyValidationError, match=f"source {source} .*(IAM users|access keys) only"):
        Policy({"name": "wrong-resource", "resource": resource, "source": source}, Config.empty(), Bag())


def run_python(code: str, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "C7N_IAMUSERS_AUTOLOAD": "0"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("", id="nothing-loaded"),
        pytest.param("import c7n.resources.iam", id="iam-loaded"),
        pytest.param("from c7n.resources import load_available; load_available()", id="everything-loaded"),
    ],
)
def test_an_explicit_call_registers(first: str) -> None:
    run_python(f"{first}\nimport c7n_iamusers; c7n_iamusers.register()\n{KNOWS_ALL}")


INSTALLED = (
    "import os; os.environ.pop('C7N_IAMUSERS_AUTOLOAD'); from c7n_iamusers import startup; startup.register()"
)


#: A process for each module, which has nothing of c7n or of this package; other libraries are loaded once for all.
IN_TURN = """
import os, sys, boto3, jsonschema, yaml
code, *modules = sys.argv[1:]
assert not {"c7n", "c7n_iamusers.entry"} & set(sys.modules)
for module in modules:
    child = os.fork()
    if not child:
        exec(code.format(module=module))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, module
"""


def test_the_hook_registers_whatever_is_imported_first() -> None:
    """A plugin's module may import c7n.resources.iam, and with it run the hook."""
    modules = {reference.partition(":")[0] for reference in PLUGINS.values()} | {"c7n_iamusers.handler"}
    run_python(IN_TURN, f"{INSTALLED}\nimport {{module}}\n{KNOWS_ALL}", *sorted(modules))


#: What a process loads of this package for policies on resources that import c7n.resources.iam, and nothing else.
WAITING = {"c7n_iamusers", "c7n_iamusers.startup", "c7n_iamusers.entry", "c7n_iamusers.exceptions"}
VALIDATES = """
import sys
from c7n import schema
from c7n.resources import load_resources
types = ("aws.ec2", "aws.s3", "aws.iam-role")
load_resources(types)
policies = [{{"name": each.replace(".", "-"), "resource": each}} for each in types]
whole = schema.generate(types)
assert not schema.validate({{"policies": policies}}, whole)
assert "c7n.resources.iam" in sys.modules
found = {{name for name in sys.modules if name.partition(".")[0] == "c7n_iamusers"}}
assert found == {waiting}, found
assert "authorization-details" not in whole["definitions"]["policy"]["properties"]["source"]["enum"]
"""


def test_policies_on_other_resources_load_four_modules() -> None:
    run_python(f"{INSTALLED}\n{VALIDATES.format(waiting=WAITING)}")
