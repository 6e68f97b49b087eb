# SPDX-License-Identifier: Apache-2.0
"""The entries of a YAML list, each with its line. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from c7n_iamusers.decisions.rows import NotInFormat, Row

_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Leaves texts as they are written: an account id is no number, and 2027-13-45 no exception of PyYAML's."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own name and form
        first: [(tag, pattern) for tag, pattern in found if tag in (_NULL, _MERGE)]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def entries(text: str) -> Iterator[Row]:
    """The entries of a YAML sequence. Raises NotInFormat where it is none."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return
        if not isinstance(root, yaml.SequenceNode):
            raise NotInFormat(root.start_mark.line + 1, "must be a list of objects: each begins with '- '")
        for node in root.value:
            yield Row(node.start_mark.line + 1, _entry(loader, node))
    except yaml.MarkedYAMLError as error:
        raise NotInFormat(
            error.problem_mark.line + 1 if error.problem_mark else 1, str(error.problem)
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise NotInFormat(1, f"is not YAML: {error}") from error


def _entry(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    if len(set(map(str, keys))) != len(keys):
        raise NotInFormat(node.start_mark.line + 1, "a key stands twice in one entry")
    return loader.construct_object(node, deep=True)
