"""Packages that only an extra of the installation brings: imported when they are needed, and named when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from recq_lib.errors import ConfigError


def optional(module: str, extra: str, what: str) -> ModuleType:
    """Import `module`; `ConfigError` says that `what` needs its package and which `extra` of recq installs it.

    `module` may be one of ours that imports such packages: the message then names the package that is missing.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = (error.name or module).partition(".")[0]
        raise ConfigError(f"{what} needs the package {package}, which is not installed; run: pip install 'recq[{extra}]'") from error
