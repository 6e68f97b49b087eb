# SPDX-License-Identifier: Apache-2.0
"""Remembers, for a whole test process, the compiled templates of Jinja: c7n-mailer compiles them anew for each message.

Compiling a template takes a hundred times as long as filling it in. What is remembered depends on its text, its place
and the settings of its environment, as in Jinja's own caches, so tests see no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from jinja2 import Environment, nodes

#: What of an environment is in the code of a template, beside its filters and tests.
_SETTINGS = (
    *(f"{kind}_{side}_string" for kind in ("block", "variable", "comment") for side in ("start", "end")),
    *("line_statement_prefix", "line_comment_prefix", "trim_blocks", "lstrip_blocks", "newline_sequence"),
    *("keep_trailing_newline", "optimized", "undefined", "finalize", "autoescape", "sandboxed", "is_async"),
)


def install() -> None:
    """Patch Jinja in this process, for good."""
    _remember(Environment)


def _remember(environment: Any) -> None:
    compile_template, known = environment.compile, dict[Any, Any]()

    def remembered(self: Any, source: Any, *place: Any, **more: Any) -> Any:
        if isinstance(source, nodes.Template):
            return compile_template(self, source, *place, **more)
        key = (source, place, *sorted(more.items()), *_settings(self))
        if key not in known:
            known[key] = compile_template(self, source, *place, **more)
        return known[key]

    environment.compile = remembered


def _settings(environment: Any) -> Iterator[Any]:
    yield type(environment)
    yield tuple(getattr(environment, each) for each in _SETTINGS)
    yield frozenset(environment.extensions)
    for functions in (environment.filters, environment.tests):
        yield frozenset((name, _function(each)) for name, each in functions.items())


def _function(function: Any) -> Any:
    """Each environment of c7n-mailer has a ``partial`` of its own, with the same settings."""
    if isinstance(function, partial):
        return (function.func, function.args, *sorted(function.keywords.items()))
    return function
