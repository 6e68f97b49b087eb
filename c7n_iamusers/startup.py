# SPDX-License-Identifier: Apache-2.0
"""Register the package with Cloud Custodian as soon as, and only if, the resource ``aws.iam-user`` is loaded.

Cloud Custodian loads no external plugins, so ``c7n_iamusers.pth`` (and, from Python 3.15 on, its PEP 829
successor ``c7n_iamusers.start``) calls ``register()`` at the start of every Python process of the environment.
That is why this module imports nothing but ``sys`` and ``os``, which are loaded anyway; annotations that need more are
texts, since ``__future__`` is a file too. It waits for the module
``c7n.resources.iam``, and then, as that is part of ec2, s3 and others too, for the resource itself. Where Python reads
neither file, ``python -m c7n_iamusers.custodian`` does the same.

Neither imports from the working directory, where a module of any name may have been put: an empty or relative entry
of ``PYTHONPATH`` and ``python -m`` put it before all others. ``c7n_iamusers.pth`` leaves it out for the import of this
module, and restores the path; so does ``register_or_warn()`` for the imports of the plugins.
"""

import os
import sys

TYPE_CHECKING = False  # typing itself would be imported at the start of every process
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

OPT_OUT = "C7N_IAMUSERS_AUTOLOAD"
#: In any case. Other values leave the hook on.
_OFF = ("0", "false", "no", "off")
TARGET = "c7n.resources.iam"


def register() -> None:
    """Called by the start-up files: ``register_when_loaded()``, unless the environment opts out.

    ``C7N_IAMUSERS_AUTOLOAD=0`` (or ``false``, ``no``, ``off``, in any case) opts out.
    """
    if os.environ.get(OPT_OUT, "").strip().lower() not in _OFF:
        register_when_loaded()


def register_when_loaded() -> None:
    """Register once ``aws.iam-user`` is loaded, or at once if ``c7n.resources.iam`` is loaded already.

    Calling it again changes nothing: both start-up files may be processed, from more than one directory.
    """
    if TARGET in sys.modules:
        register_or_warn()
    elif not any(isinstance(finder, RegisteringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, RegisteringFinder())


def remove_finder() -> None:
    """Stop waiting for ``c7n.resources.iam``."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, RegisteringFinder)]


def wait_or_warn() -> None:
    """Wait for a policy or command that loads ``aws.iam-user``. An error becomes a warning, as in register_or_warn."""
    _or_warn(lambda entry: entry.register_when_used(register_or_warn))


def register_or_warn() -> None:
    """Register. An error becomes a warning, because ``custodian`` must keep working for other policies."""
    _or_warn(lambda entry: entry.register())


def _or_warn(step: "Callable[[Any], None]") -> None:
    path = sys.path[:]
    try:
        sys.path[:] = without_working_directory(path)
        from c7n_iamusers import entry

        step(entry)
    except Exception as error:  # noqa: BLE001  # policies without our plugins must still run
        import logging

        logging.getLogger("custodian.c7n_iamusers").warning(
            "the filters and actions of c7n_iamusers are missing from this run, as registering them failed: "
            "%s: %s. Install it anew from a checkout that fits this c7n, or set %s=0",
            type(error).__name__,
            error,
            OPT_OUT,
        )
    finally:
        sys.path[:] = path


def without_working_directory(path: "Sequence[str]") -> list[str]:
    """``path`` without the working directory, unless the package itself is in there or PYTHONPATH names it in full."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # Python 3.10 leaves an empty or relative entry as it is
    full = (each for each in path if os.path.isabs(each))
    return [each for each in full if each in (*named, own) or not _is_working_directory(each)]


def _is_working_directory(place: str) -> bool:
    # not by getcwd(), which fails where somebody has removed it
    return os.path.isdir(place) and os.path.samefile(place, os.curdir)


class RegisteringFinder:
    """Finds ``c7n.resources.iam`` by the other finders, and wraps its loader in one that then waits for the resource.

    Not a subclass of importlib.abc.MetaPathFinder, because importing it takes longer than the rest of the hook.
    """

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if fullname != TARGET:
            return None
        for finder in sys.meta_path:
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(fullname, path, target) if find_spec else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = RegisteringLoader(spec.loader)  # type: ignore[assignment]  # see the class
                return spec
        return None


class RegisteringLoader:
    """Replaces a module's loader until the module has loaded, then waits for the resource, once."""

    def __init__(self, loader: "Loader") -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> "Any":  # get_source, get_data, ... of the real one
        return getattr(self.loader, name)

    def exec_module(self, module: "ModuleType") -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        remove_finder()
        wait_or_warn()
