# SPDX-License-Identifier: Apache-2.0
"""Remembers, for a whole test process, what botocore and moto work out again for each session, client and call.

One run of a policy makes some seven clients and three sessions, which takes longer than its calls to the local
organization. What is remembered depends on a service's model, on code or on a text alone, so tests see no difference.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import botocore.auth
import botocore.client
import botocore.hooks
import botocore.httpsession
import botocore.parsers
import botocore.session
import botocore.useragent
import moto.core.responses
from botocore.hooks import EVENT_ALIASES, NodeList
from botocore.loaders import create_loader

from aws_local_org import aws_request

#: Of botocore's data, one for all sessions.
LOADER = create_loader()


def install() -> None:
    """Patch botocore and moto in this process, for good."""
    auth: Any = botocore.auth  # what is patched has no types
    client: Any = botocore.client
    hooks: Any = botocore.hooks
    parsers: Any = botocore.parsers
    session: Any = botocore.session
    local: Any = aws_request
    session.create_loader = lambda *_: LOADER
    session.Session._register_builtin_handlers = _remembered_handlers(
        session.Session._register_builtin_handlers
    )
    client.ClientCreator._create_methods = _remembered_methods(client.ClientCreator._create_methods)
    hooks.EventAliaser.__init__ = _with_remembered_names(hooks.EventAliaser.__init__)
    _share_handlers(hooks._PrefixTrie)
    # the local organization checks no signatures
    auth.SigV4Auth.canonical_request = auth.SigV4Auth.string_to_sign = lambda *_: ""
    auth.SigV4Auth.signature = lambda *_: "0" * 64
    parsers.DEFAULT_TIMESTAMP_PARSER = functools.lru_cache(10_000)(parsers.DEFAULT_TIMESTAMP_PARSER)
    local._operation = _remembered_forms(local._operation)
    for module, pure in (
        (botocore.httpsession, "create_urllib3_context"),
        (botocore.useragent, "sanitize_user_agent_string_component"),
        (moto.core.responses, "method_names_from_class"),
    ):
        setattr(module, pure, functools.cache(getattr(module, pure)))


def _remembered_forms(parse: Any) -> Any:
    """A form says all of a call, and most calls are made again and again."""
    known: dict[tuple[str, str, bytes], tuple[str, dict[str, Any]]] = {}

    def operation(environ: dict[str, Any], body: bytes, service: str) -> tuple[str, dict[str, Any]]:
        kind = environ.get("CONTENT_TYPE", "")
        if service != "iam" or not kind.startswith("application/x-www-form-urlencoded"):
            found: tuple[str, dict[str, Any]] = parse(environ, body, service)
            return found
        key = (kind, environ["PATH_INFO"] + environ.get("QUERY_STRING", ""), body)
        if key not in known:
            known[key] = parse(environ, body, service)
        name, parameters = known[key]
        return name, dict(parameters)

    return operation


def _remembered_methods(create: Any) -> Any:
    #: the description is kept too, so that no other takes its id
    known: dict[int, tuple[Any, dict[str, Any]]] = {}

    def create_methods(self: Any, service_model: Any) -> dict[str, Any]:
        description = service_model._service_description
        if id(description) not in known:
            known[id(description)] = (description, create(self, service_model))
        return dict(known[id(description)][1])

    return create_methods


def _with_remembered_names(construct: Any) -> Any:
    known: dict[str, str] = {}

    def init(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        construct(self, event_emitter, event_aliases)
        if event_aliases is None or event_aliases == EVENT_ALIASES:
            self._alias_name_cache = known

    return init


def _remembered_handlers(register: Any) -> Any:
    known: list[Any] = []

    def register_builtin_handlers(self: Any, events: Any) -> None:
        emitter = events._emitter
        if not known:
            register(self, events)
            known.append(copy.copy(emitter))
        emitter.__dict__.update(copy.copy(known[0]).__dict__, _lookup_cache={})

    return register_builtin_handlers


def _share_handlers(trie_type: Any) -> None:
    """Let a copy of a tree of handlers share each branch with the original, until one of the two changes it."""

    def copy_of_trie(trie: Any) -> Any:
        copied = trie_type()
        copied._root = {**trie._root, "children": dict(trie._root["children"])}
        trie._shared, copied._shared = set(copied._root["children"]), set(copied._root["children"])
        return copied

    def on_own_branch(change: Any) -> Any:
        def changed(trie: Any, key: str, *arguments: Any, **options: Any) -> Any:
            first, branches = key.partition(".")[0], trie._root["children"]
            if first in trie.__dict__.get("_shared", ()):
                trie._shared.discard(first)
                branches[first] = _copy_of_node(branches[first])
            return change(trie, key, *arguments, **options)

        return changed

    trie_type.__copy__ = copy_of_trie
    trie_type.append_item = on_own_branch(trie_type.append_item)
    trie_type.remove_item = on_own_branch(trie_type.remove_item)


def _copy_of_node(node: dict[str, Any]) -> dict[str, Any]:
    values = node["values"]
    return {
        "chunk": node["chunk"],
        "children": {part: _copy_of_node(child) for part, child in node["children"].items()},
        "values": values and NodeList(list(values.first), list(values.middle), list(values.last)),
    }
