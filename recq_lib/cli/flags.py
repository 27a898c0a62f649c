"""Types of the flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

Name = Annotated[str, tyro.conf.Positional, arg(metavar="NAME")]
Method = Annotated[str, tyro.conf.Positional, arg(metavar="METHOD")]
NpzFile = Annotated[Path | None, arg(metavar="FILE.npz")]
Settings = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")]
