"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DebugOption", "DeviceOption", "DtypeOption", "IndexOption", "JsonOption"]

IndexOption = Annotated[
    Path, typer.Option("--index", envvar="VDR_INDEX", help="Folder of the index.")
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cuda, cuda:1, mps or cpu; the best there is when left out.")
]
DtypeOption = Annotated[str, typer.Option(help="auto, float32, float16 or bfloat16.")]
DebugOption = Annotated[
    bool, typer.Option("--debug", envvar="VDR_DEBUG", help="Show tracebacks of errors.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, on one line.")]
