# SPDX-License-Identifier: Apache-2.0
"""Registration of this package's plugins with Cloud Custodian's resource ``aws.iam-user``.

c7n is imported inside the functions: importing ``c7n.resources.iam`` at the top of this module would run the
start-up hook, which needs this module complete.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# A new plugin is one new row: its name in policies -> the reference of its class.
SOURCES = {
    "authorization-details": "c7n_iamusers.plugins.authorization_details:AuthorizationDetails",
}
FILTERS = {
    "unnecessary": "c7n_iamusers.plugins.unnecessary:Unnecessary",
    "identity-center": "c7n_iamusers.plugins.identity_center:IdentityCenter",
    "attempts": "c7n_iamusers.plugins.attempts:AttemptsFilter",
}
ACTIONS = {
    "composite-delete": "c7n_iamusers.plugins.composite_delete:CompositeDelete",
    "quarantine": "c7n_iamusers.plugins.quarantine:Quarantine",
    "release": "c7n_iamusers.plugins.quarantine:Release",
    "notify-owners": "c7n_iamusers.plugins.notify_owners:NotifyOwners",
    "notify-people": "c7n_iamusers.plugins.notify_people:NotifyPeople",
    "provision-identity-center": "c7n_iamusers.plugins.provision_identity_center:ProvisionIdentityCenter",
}


def register() -> None:
    """Register every source, filter and action on ``aws.iam-user``. Idempotent.

    All classes are loaded before the first is registered, so an error leaves Cloud Custodian as it was.

    Raises: whatever importing a plugin raises.
    """
    from c7n.actions.notify import Notify
    from c7n.resources.iam import User

    from c7n_iamusers.plugins.resources import register_messages

    sources, filters, actions = (load_classes(table) for table in (SOURCES, FILTERS, ACTIONS))
    register_sources(User, sources)
    for name, plugin in filters.items():
        User.filter_registry.register(name, plugin)
    for name, plugin in actions.items():
        User.action_registry.register(name, plugin)
    register_messages(Notify)


def load_classes(table: Mapping[str, str]) -> dict[str, Any]:
    """The classes of a table of ``module:Class`` references, by the same names."""
    return {name: resolve_name(reference) for name, reference in table.items()}


def register_sources(user: Any, sources: Mapping[str, Any]) -> None:
    """Add ``sources`` to the resource class ``user``.

    c7n takes the names that a policy's ``source`` may have, whatever its resource, from the registry
    ``c7n.query.sources``. A source class must therefore refuse the managers of other resource types.
    """
    from c7n.query import sources as every_resource

    for name, source in sources.items():
        every_resource.register(name, source)
    # a new mapping, because other resource classes can share the old one
    user.source_mapping = {**user.source_mapping, **sources}
