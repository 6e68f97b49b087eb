# SPDX-License-Identifier: Apache-2.0
"""YAML within bounds, with line numbers. PyYAML is imported on use, since a Lambda archive may lack it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from c7n_iamusers.text.documents import (
    DEEPEST,
    LONGEST_NUMBER,
    NO_MEMORY,
    TOO_DEEP,
    NotInFormat,
    as_text,
    check_values,
)

#: Bytes of YAML, whose reader is slower by far.
LARGEST_YAML = 8 * 1024 * 1024
#: Keys and values that YAML itself has: each takes its reader up to 30 microseconds and 1 KB. An account of an accounts
#: file has about 20, an exemption 11.
MOST_NODES = 300_000


def read_yaml(data: str | bytes) -> Any:
    """The content of a document of YAML. Raises NotInFormat."""
    text = as_text(data)
    with _yaml_errors(text):
        loader, root = _composed(text, False)
        return None if root is None else loader.construct_document(root)


def yaml_entries(data: str | bytes, what: str) -> Iterator[tuple[int, Any]]:
    """The line and the value of each entry of a list in YAML, with numbers, dates and the like as text.

    An account id is not a number, and 2027-13-45 is not an error here. ``what``: the text must be. Raises NotInFormat.
    """
    text = as_text(data)
    with _yaml_errors(text):
        loader, root = _composed(text, True)
        if root is not None and root.id != "sequence":
            raise NotInFormat(root.start_mark.line + 1, what)
        for node in root.value if root else ():
            yield node.start_mark.line + 1, loader.construct_object(node, deep=True)


def yaml_nodes(text: str) -> Any:
    """The root node of a document of YAML; None if it is empty. Raises NotInFormat."""
    with _yaml_errors(text):
        return _composed(text, False)[1]


@contextmanager
def _yaml_errors(text: str) -> Iterator[None]:
    # Imported here, since a Lambda archive lacks PyYAML unless the policy names it in mode.packages.
    import yaml

    try:
        yield
    except NotInFormat:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotInFormat(mark.line + 1 if mark else 0, str(error.problem or error.context)[:200]) from error
    except yaml.reader.ReaderError as error:
        raise NotInFormat(text.count("\n", 0, error.position) + 1, f"is not YAML: {error.reason}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise NotInFormat(0, f"is not YAML: {' '.join(str(error).split())[:200]}") from error
    except RecursionError as error:
        raise NotInFormat(0, TOO_DEEP) from error
    except MemoryError:
        raise NotInFormat(0, NO_MEMORY) from None


_TAG = "tag:yaml.org,2002:"
#: What may be written as a tag. Elsewhere PyYAML fails in other ways than by its own errors where a value does not fit.
_TAGS = {"scalar": _TAG + "str", "sequence": _TAG + "seq", "mapping": _TAG + "map"}
_NUMBERS = (_TAG + "int", _TAG + "float")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|nan)|.*e\+?\d{3,}", re.IGNORECASE)


@cache
def _loader(texts: bool) -> Any:
    """The class of a loader that ends at MOST_NODES and DEEPEST while it reads, since reading takes longest.

    ``texts``: whether it makes nothing but text of scalars, apart from null and the key of a merge.
    """
    import yaml

    class Bounded(yaml.SafeLoader):
        _nodes = _depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self._nodes += 1
            self._depth += 1
            if self._nodes > MOST_NODES or self._depth > DEEPEST + 1:
                more = f"has more than {MOST_NODES} keys and values: keep such a list as CSV or JSON"
                raise NotInFormat(self.line + 1, TOO_DEEP if self._depth > DEEPEST + 1 else more)
            node = super().compose_node(parent, index)
            self._depth -= 1
            return node

    if texts:
        kept = (_TAG + "null", _TAG + "merge")
        Bounded.yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in found if tag in kept]
            for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
    return Bounded


def _composed(text: str, texts: bool) -> tuple[Any, Any]:
    """A loader, and the root node that it has composed, within bounds. ``texts``: see ``yaml_entries``."""
    if len(text) > LARGEST_YAML:
        raise NotInFormat(
            0, f"has more than {LARGEST_YAML} characters of YAML: keep such a list as CSV or JSON"
        )
    loader = _loader(texts)(text)
    root = loader.get_single_node()
    if root is not None:
        check_values(root, partial(_nodes, loader))
    return loader, root


def _nodes(loader: Any, node: Any) -> list[Any]:
    """The nodes in ``node``, which is checked."""
    if node.tag != _TAGS[node.id] and (
        node.id != "scalar" or node.tag != loader.resolve(type(node), node.value, (True, False))
    ):
        raise NotInFormat(node.start_mark.line + 1, f"has the tag {node.tag[:80]}, which is not read")
    if node.id == "scalar":
        if node.tag in _NUMBERS and (len(node.value) > LONGEST_NUMBER or _NO_NUMBER.fullmatch(node.value)):
            raise NotInFormat(
                node.start_mark.line + 1,
                f"has a number that is not one, is too large, or has more than {LONGEST_NUMBER} characters",
            )
        return []
    if node.id == "sequence":
        return list(node.value)
    keys = set[tuple[str, str]]()
    for key, _ in node.value:
        if key.id == "scalar" and (key.tag, key.value) in keys:
            raise NotInFormat(key.start_mark.line + 1, f"the key {key.value[:80]!r} is given twice")
        keys.add((key.tag, str(key.value) if key.id == "scalar" else ""))
    return [each for pair in node.value for each in pair]
