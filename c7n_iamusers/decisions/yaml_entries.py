# SPDX-License-Identifier: Apache-2.0
"""The entries of a YAML list, each with its line. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from c7n_iamusers.decisions.rows import NotInFormat, Row


def entries(text: str) -> Iterator[Row]:
    """The entries of a YAML sequence."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return
        if not isinstance(root, yaml.SequenceNode):
            raise NotInFormat("must be a list of rules: each begins with '- '")
        for node in root.value:
            yield node.start_mark.line + 1, _yaml_row(loader, node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise NotInFormat(f"line {line}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise NotInFormat(f"is not YAML: {error}") from error


def _yaml_row(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    if len(set(map(str, keys))) != len(keys):
        raise NotInFormat(f"line {node.start_mark.line + 1}: a key stands twice in one rule")
    return loader.construct_object(node, deep=True)
