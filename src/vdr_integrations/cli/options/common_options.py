"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from vdr_integrations.errors import OptionError

__all__ = [
    "INDEX_HELP",
    "DebugOption",
    "DeviceOption",
    "DtypeOption",
    "HybridOption",
    "IndexesOption",
    "JsonOption",
    "ModelPlaceOption",
    "PageMemoryOption",
    "PageTimeoutOption",
    "PasswordOption",
    "WaitOption",
    "WorkersOption",
    "folders_in",
    "named_folders",
    "password_in",
]

_INDEX_VARIABLE = "VDR_INDEX"


def folders_in(given: str | Path) -> list[Path]:
    """The folders that one text names: several are joined as in ``PATH``, by ``os.pathsep``.

    The folder that has this very name comes first: a name may hold a ``:``.
    """
    parts = str(given).split(os.pathsep)
    if len(parts) == 1 or Path(given).exists():
        return [Path(given)]
    return [Path(part) for part in parts if part]


def named_folders(context: typer.Context, given: list[Path]) -> list[Path]:
    """The folders of ``--index``, or those of the environment variable.

    Raises:
        BadParameter: The variable has separators only.
    """
    source = context.get_parameter_source("index")
    if source is None or source.name != "ENVIRONMENT":
        return given
    folders = folders_in(os.environ[_INDEX_VARIABLE])
    if not folders:
        raise typer.BadParameter(f"{_INDEX_VARIABLE} names no folder; name one, or give --index.")
    return folders


INDEX_HELP = "Folder of the index. Repeat it for several, which are then one index."
IndexesOption = Annotated[
    list[Path],
    typer.Option(
        "--index",
        envvar=_INDEX_VARIABLE,
        metavar="PATH",
        help=INDEX_HELP,
        callback=named_folders,
    ),
]
ModelPlaceOption = Annotated[
    str | None,
    typer.Option(
        help="Hub id or folder of the index's model, if it has moved, or the address of vdr serve. "
        "(default: as in the index)"
    ),
]
HybridOption = Annotated[
    bool,
    typer.Option(
        "--hybrid",
        help="Let the words of the question count too, by BM25 over the text layers of the pages.",
    ),
]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Environment variable that has the password of encrypted PDFs."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="0: draw pages again in this process, without limits of time and memory, for files "
        "that you trust. (default: another process does it, with limits)",
    ),
]
PageTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--page-timeout",
        metavar="SECONDS",
        help="CPU time in which that process must have opened a file or drawn a page; else it "
        "fails. (default: 60)",
    ),
]
PageMemoryOption = Annotated[
    int | None,
    typer.Option(
        "--page-memory", metavar="MIB", help="Memory that this process may have. (default: 2048)"
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        help="cuda, cuda:1, mps or cpu; cuda:0,cuda:1 for several that share the work. (default: "
        "the best available)"
    ),
]
DtypeOption = Annotated[
    str, typer.Option(help="auto, float32, bfloat16 or float16; int8 or float8 for 8-bit weights.")
]
DebugOption = Annotated[
    bool, typer.Option("--debug", envvar="VDR_DEBUG", help="Show tracebacks of errors.")
]
WaitOption = Annotated[
    float,
    typer.Option(
        "--wait",
        min=0,
        metavar="SECONDS",
        help="How long to wait if another process is writing to the index. (default: 0)",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, on one line.")]


def password_in(variable: str | None) -> str | None:
    """The value of the environment variable that ``--password-env`` names; None without it.

    Raises:
        OptionError: The variable is not set.
    """
    if variable is None:
        return None
    if variable not in os.environ:
        raise OptionError(f"--password-env names {variable}, which is not set.")
    return os.environ[variable]
