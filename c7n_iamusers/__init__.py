# SPDX-License-Identifier: Apache-2.0
"""Find, replace and delete unnecessary AWS IAM users with Cloud Custodian.

Every Python process in an environment with this package imports this module at its start, so it imports
nothing itself, not even ``__future__``: ``python -m`` would take that from the working directory.
"""

__version__ = "1.0.0"


def register() -> None:
    """Register the package's source, filters and actions with Cloud Custodian. Idempotent.

    Needed only in your own programs if the start-up hook does not run: with ``C7N_IAMUSERS_AUTOLOAD=0``,
    or if Python reads no ``.pth`` file; the command ``python -m c7n_iamusers.custodian`` exists for that case.
    """
    from c7n_iamusers.entry import register as register_plugins

    register_plugins()
