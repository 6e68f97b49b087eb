# SPDX-License-Identifier: Apache-2.0
"""Registration of this package's plugins with Cloud Custodian's ``aws.iam-user`` and ``aws.iam-access-key``.

c7n is imported inside the functions: importing ``c7n.resources.iam`` at the top of this module would run the
start-up hook, which needs this module complete.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from c7n_iamusers.exceptions import NameTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The resources that have the plugins, as Cloud Custodian names them.
RESOURCES = ("iam-user", "iam-access-key")

# A new plugin is one new row: its name in policies -> the reference of its class.
SOURCES = {
    "authorization-details": "c7n_iamusers.plugins.authorization_details:AuthorizationDetails",
    "access-keys": "c7n_iamusers.plugins.access_keys:AccessKeys",
}
FILTERS = {
    "unnecessary": "c7n_iamusers.plugins.unnecessary:Unnecessary",
    "identity-center": "c7n_iamusers.plugins.identity_center:IdentityCenter",
    "attempts": "c7n_iamusers.plugins.attempts:AttemptsFilter",
    "alarm": "c7n_iamusers.plugins.alarm:Alarm",
    "overdue": "c7n_iamusers.plugins.overdue:OverdueFilter",
}
ACTIONS = {
    "composite-delete": "c7n_iamusers.plugins.composite_delete:CompositeDelete",
    "quarantine": "c7n_iamusers.plugins.quarantine:Quarantine",
    "release": "c7n_iamusers.plugins.quarantine:Release",
    "notify-owners": "c7n_iamusers.plugins.notify_owners:NotifyOwners",
    "notify-people": "c7n_iamusers.plugins.notify_people:NotifyPeople",
    "provision-identity-center": "c7n_iamusers.plugins.provision_identity_center:ProvisionIdentityCenter",
}
KEY_FILTERS = {
    "unnecessary": "c7n_iamusers.plugins.unnecessary_keys:UnnecessaryKeys",
}
KEY_ACTIONS = {
    "deactivate": "c7n_iamusers.plugins.key_actions:Deactivate",
    "activate": "c7n_iamusers.plugins.key_actions:Activate",
    "retire": "c7n_iamusers.plugins.key_actions:Retire",
    "notify-owners": ACTIONS["notify-owners"],
}


def register() -> None:
    """Register every source, filter and action on its resource, at once. Idempotent.

    Nothing of Cloud Custodian is replaced or changed. All classes are loaded before the first is registered, so an
    error leaves Cloud Custodian as it was.

    Raises: NameTaken where Cloud Custodian, or another package, has a plugin of one of the names; whatever importing a
    plugin raises.
    """
    from c7n.query import sources
    from c7n.resources.iam import AccessKey, User

    # Cloud Custodian looks a source up here if the resource class has none of its name. Its schema takes the names that
    # a policy's source may have from the same registry, whatever the resource: there is none for a resource. A source
    # class must therefore refuse the managers of other resource types.
    tables = (
        (sources, SOURCES),
        (User.filter_registry, FILTERS),
        (User.action_registry, ACTIONS),
        (AccessKey.filter_registry, KEY_FILTERS),
        (AccessKey.action_registry, KEY_ACTIONS),
    )
    for registry, table in tables:
        refuse_taken_names(registry, table)
    loaded = [(registry, load_classes(table)) for registry, table in tables]
    for registry, classes in loaded:
        for name, plugin in classes.items():
            registry.register(name, plugin)


def register_when_used(register_users: Callable[[], None]) -> None:
    """Call ``register_users`` once, as soon as a policy or a command loads one of RESOURCES.

    Resources like ec2 and s3 import ``c7n.resources.iam`` as well, but do not load these. Cloud Custodian adds
    its own plugins that way (``Notify.register_resource``).
    """
    from c7n.manager import resources

    waiting = [register_users]

    def loaded(registry: Any, resource_class: Any) -> None:
        if waiting and getattr(resource_class, "type", "") in RESOURCES:
            waiting.pop()()

    resources.subscribe(loaded)


def refuse_taken_names(registry: Any, table: Mapping[str, str]) -> None:
    """Raises NameTaken if ``registry``, one of c7n's, has another plugin than ours by a name of ``table``."""
    for name, reference in table.items():
        taken = registry.get(name)
        if taken is not None and (found := f"{taken.__module__}:{taken.__qualname__}") != reference:
            raise NameTaken(
                f"{registry.plugin_type} has {name!r} already, by {found}. It stays as it is, and no plugin of "
                "c7n_iamusers was registered: uninstall one of the two packages"
            )


def load_classes(table: Mapping[str, str]) -> dict[str, Any]:
    """The classes of a table of ``module:Class`` references, by the same names."""
    return {name: resolve_name(reference) for name, reference in table.items()}
