# SPDX-License-Identifier: Apache-2.0
"""Remembers, for a whole test process, the nodes of documents of YAML, for which PyYAML takes milliseconds.

Each command and policy of a test reads the shipped accounts, policies and templates anew. What is remembered depends on
a text and on the class of its loader alone, so tests see no difference.
"""

from __future__ import annotations

import pickle
from typing import Any

from yaml.composer import Composer

#: Shorter texts take no time, and longer ones, in characters, are hardly read twice. And how many are kept.
_SHORT, _LONG, _MANY = 400, 100_000, 500


def install() -> None:
    """Patch PyYAML in this process, for good."""
    composer: Any = Composer
    composer.get_single_node = _remembered(composer.get_single_node)


def _remembered(compose: Any) -> Any:
    known: dict[tuple[type, str], bytes] = {}

    def get_single_node(self: Any) -> Any:
        # of a text or bytes, not of a file, the reader has everything before it begins
        whole = self.stream is None and self.eof and self.pointer == 0
        if not whole or not _SHORT <= len(self.buffer) <= _LONG:
            return compose(self)
        key = (type(self), self.buffer)
        if key in known:
            return pickle.loads(known[key])
        node = compose(self)
        if len(known) >= _MANY:
            known.clear()
        known[key] = pickle.dumps(node, pickle.HIGHEST_PROTOCOL)
        return node

    return get_single_node
