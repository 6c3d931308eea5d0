"""``vdr doctor``: what is installed, which device would be used, and what prevents a run."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vdr_integrations.cli.options.common_options import DebugOption, JsonOption  # noqa: TC001  # typer reads them
from vdr_integrations.cli.terminal.clean_text import one_line
from vdr_integrations.cli.terminal.exits import ExitCode, reported
from vdr_integrations.cli.terminal.fact_lines import bytes_in_words, say_facts
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.defaults import DEFAULT_DENSE_MODEL

__all__ = ["doctor_command"]


def doctor_command(
    *,
    model: Annotated[
        str,
        typer.Option(
            envvar="VDR_MODEL",
            help="Model to check: Hub id, folder, 'nano' or the address of vdr serve.",
        ),
    ] = DEFAULT_DENSE_MODEL,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Report versions, devices, memory and caches, with advice. Nothing is downloaded.

    Exit codes: 0 the model can run here, 1 it cannot, 2 wrong usage.
    """
    with reported(debug=debug):
        from vdr_integrations.cli.commands.doctor_diagnosis import diagnose

        found = diagnose(model)
    if as_json:
        say_json(found)
    else:
        _show(found)
    if found["problems"]:
        raise typer.Exit(ExitCode.ERROR)


def _show(found: dict[str, Any]) -> None:
    packages: dict[str, str | None] = found["packages"]
    _section("Versions")
    say_facts(
        {"vdr-integrations": found["version"], "Python": found["python"]}
        | {name: version or "not installed" for name, version in packages.items()}
    )
    _section("Devices")
    devices = {
        one["device"]: ", ".join(
            filter(None, (one["name"], _memory(one["memory_bytes"], one["free_bytes"])))
        )
        for one in found["devices"]
    }
    chosen: dict[str, Any] | None = found["chosen"]
    if chosen is not None:
        devices["chosen"] = (
            f"{chosen['device']}, {chosen['dtype']}, attention {chosen['attention']}"
        )
    say_facts(devices)
    _section("Model")
    model: dict[str, Any] = found["model"]
    size = model.get("bytes")
    facts = {"name": model["name"], "kind": model["kind"], "where": model["where"]}
    say_facts(facts | {"weights": None if size is None else bytes_in_words(size)})
    _section("Folders")
    say_facts({name: _folder(one) for name, one in found["caches"].items()})
    _section("Environment")
    environment: dict[str, Any] = found["environment"]
    # say_facts would replace the underscores of these names.
    for name, value in environment.items():
        if value is not None:
            sys.stdout.write(f"{name}={one_line(str(value))}\n")
    for title, sentences in (("Problems", found["problems"]), ("Advice", found["advice"])):
        if sentences:
            _section(title)
            sys.stdout.writelines(f"- {one_line(one)}\n" for one in sentences)


def _section(title: str) -> None:
    sys.stdout.write(f"\n{title}\n" if title != "Versions" else f"{title}\n")


def _memory(total: int | None, free: int | None) -> str:
    if total is None:
        return ""
    left = "" if free is None else f", {bytes_in_words(free)} free"
    return f"{bytes_in_words(total)}{left}"


def _folder(folder: dict[str, Any]) -> str:
    free = folder["free_bytes"]
    left = "" if free is None else f", {bytes_in_words(free)} free"
    return f"{folder['path']}{' (does not exist yet)' if folder['exists'] is False else ''}{left}"
