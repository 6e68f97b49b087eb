# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest
from c7n.config import Bag, Config
from c7n.exceptions import PolicyValidationError
from c7n.policy import Policy
from c7n.query import sources as every_source
from c7n.resources import load_resources
from c7n.resources.iam import DescribeUser, Role, User

import c7n_iamusers
from c7n_iamusers import entry

ROOT = Path(c7n_iamusers.__file__).parents[1]
PLUGINS = {**entry.SOURCES, **entry.FILTERS, **entry.ACTIONS}

KNOWS_ALL = """
from c7n.query import sources
from c7n.resources.iam import User
from c7n_iamusers import entry
unknown = (
    set(entry.SOURCES) - set(User.source_mapping)
    | set(entry.SOURCES) - set(sources.keys())
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
    assert User.source_mapping[name] is every_source[name] is resolve_name(reference)
    assert User.source_mapping["describe"] is DescribeUser
    assert name not in Role.source_mapping


def test_registering_again_changes_nothing() -> None:
    entry.register()
    before = dict(User.filter_registry.items()), dict(User.action_registry.items()), User.source_mapping
    entry.register()
    after = dict(User.filter_registry.items()), dict(User.action_registry.items()), User.source_mapping
    assert after == before


def test_a_source_mapping_shared_with_others_is_not_changed() -> None:
    class Sources:
        type: str

    shared = {"describe": DescribeUser}

    class Resource:
        source_mapping = shared

    try:
        entry.register_sources(Resource, {"only-here": Sources})
        assert shared == {"describe": DescribeUser}
        assert Resource.source_mapping == {"describe": DescribeUser, "only-here": Sources}
    finally:
        every_source.unregister("only-here")


def test_an_error_leaves_cloud_custodian_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "FILTERS", {"half": entry.FILTERS["unnecessary"]})
    monkeypatch.setattr(entry, "ACTIONS", {"missing": "c7n_iamusers.plugins.missing:Missing"})
    with pytest.raises(ModuleNotFoundError, match=r"c7n_iamusers\.plugins\.missing"):
        entry.register()
    assert "half" not in User.filter_registry


@pytest.mark.parametrize("resource", ["aws.ec2", "aws.iam-role", "aws.s3"])
@pytest.mark.parametrize("source", entry.SOURCES)
def test_a_source_is_refused_to_other_resources(resource: str, source: str) -> None:
    entry.register()
    load_resources([resource])
    with pytest.raises(PolicyValidationError, match=f"source {source} .*IAM users.*"):
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
    """A plugin's module may import c7n.resources.iam, whose hook loads all plugins, that module among them."""
    modules = {reference.partition(":")[0] for reference in PLUGINS.values()} | {"c7n_iamusers.handler"}
    run_python(IN_TURN, f"{INSTALLED}\nimport {{module}}\n{KNOWS_ALL}", *sorted(modules))
