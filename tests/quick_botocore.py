# SPDX-License-Identifier: Apache-2.0
"""Remembers, for a whole test process, what botocore and moto work out again for each session, client and call.

One run of a policy makes some seven clients and three sessions, which takes longer than its calls to the local
organization. What is remembered depends on a service's model, on code or on a text alone, so tests see no difference.
"""

from __future__ import annotations

import copy
import functools
import itertools
import os
import pickle
import re
import urllib.parse
import urllib.request
from typing import Any

import botocore.auth
import botocore.client
import botocore.configprovider
import botocore.hooks
import botocore.httpsession
import botocore.parsers
import botocore.regions
import botocore.session
import botocore.translate
import botocore.useragent
import botocore.utils
import moto.core.responses
import moto.sqs.models
from botocore.context import get_context
from botocore.hooks import EVENT_ALIASES, NodeList
from botocore.loaders import create_loader

from aws_local_org import aws_request

#: Of botocore's data, one for all sessions.
LOADER = create_loader()


def install() -> None:
    """Patch botocore and moto in this process, for good."""
    _patch_clients(botocore.client, botocore.hooks, botocore.session)
    _patch_settings(botocore.configprovider, urllib.request, botocore.utils)
    _patch_calls(botocore.auth, botocore.parsers, aws_request)
    for module, pure in (
        (botocore.httpsession, "create_urllib3_context"),
        (botocore.useragent, "sanitize_user_agent_string_component"),
        (moto.core.responses, "method_names_from_class"),
        (moto.core.responses, "camelcase_to_underscores"),
        (moto.sqs.models, "camelcase_to_underscores"),
    ):
        setattr(module, pure, functools.cache(getattr(module, pure)))
    # the same policy documents are quoted again and again, letter by letter
    for coded in ("quote_from_bytes", "unquote_to_bytes"):
        setattr(urllib.parse, coded, functools.lru_cache(10_000)(getattr(urllib.parse, coded)))
    responses: Any = moto.core.responses
    responses.gen_amzn_requestid_long = _numbered_requests()


# What is patched has no types.


def _patch_clients(client: Any, hooks: Any, session: Any) -> None:
    regions: Any = botocore.regions
    translate: Any = botocore.translate
    creator = client.ClientCreator
    session.create_loader = lambda *_: LOADER
    session.Session._register_builtin_handlers = _remembered_handlers(
        session.Session._register_builtin_handlers
    )
    creator._create_methods = _remembered_methods(creator._create_methods)
    creator._load_service_model = _remembered_models(creator._load_service_model)
    regions.EndpointProvider = _remembered_endpoints(regions.EndpointProvider)
    translate.build_retry_config = _remembered_retries(translate.build_retry_config)
    hooks.accepts_kwargs = _remembered_signatures(hooks.accepts_kwargs)
    hooks.EventAliaser.__init__ = _with_remembered_names(hooks.EventAliaser.__init__)
    _share_handlers(hooks._PrefixTrie)


def _patch_settings(providers: Any, request: Any, utils: Any) -> None:
    """A client asks the session, whose variables are copied for each, and the environment for some sixty settings."""
    providers.InstanceVarProvider.provide = _variable_of_session
    providers.EnvironmentProvider.provide = _from_encoded(providers.EnvironmentProvider.provide)
    request.getproxies_environment = utils.getproxies = _remembered_proxies(request.getproxies_environment)


def _patch_calls(auth: Any, parsers: Any, local: Any) -> None:
    agent: Any = botocore.useragent.UserAgentString
    # the local organization checks no signatures
    auth.SigV4Auth.canonical_request = auth.SigV4Auth.string_to_sign = lambda *_: ""
    auth.SigV4Auth.signature = lambda *_: "0" * 64
    auth.SigV4Auth.headers_to_sign = lambda *_: {"host": ""}
    agent.to_string = _remembered_agents(agent.to_string)
    parsers.DEFAULT_TIMESTAMP_PARSER = functools.lru_cache(10_000)(parsers.DEFAULT_TIMESTAMP_PARSER)
    parsers.QueryParser._parse_body_as_xml = _remembered_answers(parsers.QueryParser._parse_body_as_xml)
    local._operation = _remembered_forms(local._operation)


def _variable_of_session(provider: Any) -> Any:
    return provider._session._session_instance_vars.get(provider._instance_var)


def _from_encoded(provide: Any) -> Any:
    """Most variables are not there, which ``os.environ`` tells by two errors."""
    encoded: Any = vars(os.environ)["_data"]

    def provide_quickly(self: Any) -> Any:
        if self._env is os.environ and self._name.encode() not in encoded:
            return None
        return provide(self)

    return provide_quickly


def _remembered_proxies(read: Any) -> Any:
    """Each client reads all variables of the environment twice."""
    encoded: Any = vars(os.environ)["_data"]
    known: dict[Any, dict[str, str]] = {}

    def getproxies_environment() -> dict[str, str]:
        key = tuple(
            each
            for each in encoded.items()
            if each[0][-6:].lower() == b"_proxy" or each[0] == b"REQUEST_METHOD"
        )
        if key not in known:
            known[key] = read()
        return dict(known[key])

    return getproxies_environment


def _numbered_requests() -> Any:
    """moto draws fifty letters for each request."""
    numbers = itertools.count(1)

    def request_id(headers: dict[str, Any] | None = None) -> str:
        number = f"{next(numbers):052}"
        if headers is not None:
            headers["x-amzn-requestid"] = number
        return number

    return request_id


def _remembered_forms(parse: Any) -> Any:
    """A form or JSON says all of a call, and most calls are made again and again."""
    known: dict[tuple[str, str, str, str, bytes], tuple[str, dict[str, Any]]] = {}

    def operation(environ: dict[str, Any], body: bytes, service: str) -> tuple[str, dict[str, Any]]:
        kind, target = environ.get("CONTENT_TYPE", ""), environ.get("HTTP_X_AMZ_TARGET", "")
        if not target and (service != "iam" or not kind.startswith("application/x-www-form-urlencoded")):
            found: tuple[str, dict[str, Any]] = parse(environ, body, service)
            return found
        key = (service, kind, target, environ["PATH_INFO"] + environ.get("QUERY_STRING", ""), body)
        if key not in known:
            known[key] = parse(environ, body, service)
        name, parameters = known[key]
        return name, dict(parameters)

    return operation


def _remembered_models(load: Any) -> Any:
    """One model of each service for all clients: it works out a part when it is first asked for."""
    known: dict[tuple[str, str | None], Any] = {}

    def load_service_model(self: Any, service_name: str, api_version: str | None = None) -> Any:
        key = (service_name, api_version)
        if key not in known:
            known[key] = load(self, *key)
        return known[key]

    return load_service_model


def _remembered_endpoints(provider: Any) -> Any:
    #: the rules are kept too, so that no other take their id
    known: dict[int, tuple[Any, Any]] = {}

    def endpoint_provider(ruleset_data: Any, partition_data: Any, **by_service: Any) -> Any:
        if id(ruleset_data) not in known:
            known[id(ruleset_data)] = (ruleset_data, provider(ruleset_data, partition_data, **by_service))
        return known[id(ruleset_data)][1]

    return endpoint_provider


def _remembered_retries(build: Any) -> Any:
    #: the model is kept too, so that no other takes its id
    known: dict[tuple[str, int, str], tuple[Any, Any]] = {}

    def build_retry_config(endpoint_prefix: str, retry_model: Any, *rest: Any, **options: Any) -> Any:
        key = (endpoint_prefix, id(retry_model), repr((rest[1:], options)))
        if key not in known:
            known[key] = (retry_model, build(endpoint_prefix, retry_model, *rest, **options))
        return known[key][1]

    return build_retry_config


def _remembered_signatures(inspect: Any) -> Any:
    """Whether a function takes keywords; of a method, its function is asked, which outlives its objects."""
    of_function = functools.cache(inspect)

    def accepts_kwargs(callback: Any) -> bool:
        function = getattr(callback, "__func__", None)
        answer: bool = of_function(function) if function else inspect(callback)
        return answer

    return accepts_kwargs


def _remembered_agents(compose: Any) -> Any:
    """The User-Agent of a client changes only with the features that a call uses."""

    def to_string(self: Any) -> str:
        known = self.__dict__.get("_known")
        if known is None or known[0] is not self:  # another client's, of which this is a copy
            known = self._known = (self, {})
        context, config = get_context(), self._client_config
        key = (
            frozenset(context.features if context else ()),
            frozenset(self._client_features or ()),
            config and (config.user_agent, config.user_agent_extra, config.user_agent_appid),
            self._session_user_agent_name,
            self._session_user_agent_version,
            self._session_user_agent_extra,
        )
        if key not in known[1]:
            known[1][key] = compose(self)
        text: str = known[1][key]
        return text

    return to_string


#: Longer answers, in bytes, are hardly given twice; and how many are kept.
_LONG, _MANY = 20_000, 3_000
_REQUEST_ID = re.compile(rb"(?<=<RequestId>)[^<]*(?=</RequestId>)")


def _remembered_answers(parse: Any) -> Any:
    """Most answers of IAM are given again and again, but for the number of the request."""
    known: dict[tuple[bytes, bytes, int], tuple[Any, bytes]] = {}

    def parse_body_as_xml(self: Any, response: Any, shape: Any, inject_metadata: bool = True) -> Any:
        body = response["body"]
        found = _REQUEST_ID.search(body)
        if not found or not inject_metadata or len(body) > _LONG:
            return parse(self, response, shape, inject_metadata)
        key = (body[: found.start()], body[found.end() :], id(shape))
        if key not in known:
            if len(known) >= _MANY:
                known.clear()
            parsed = parse(self, response, shape, inject_metadata)
            known[key] = (shape, pickle.dumps(parsed, pickle.HIGHEST_PROTOCOL))
            return parsed
        parsed = pickle.loads(known[key][1])
        parsed["ResponseMetadata"]["RequestId"] = found[0].decode()
        return parsed

    return parse_body_as_xml


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
