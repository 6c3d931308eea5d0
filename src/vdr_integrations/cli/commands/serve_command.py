"""``vdr serve``: one model behind HTTP, for any number of clients."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from vdr_integrations.cli.options.common_options import (  # noqa: TC001  # typer reads them
    DebugOption,
    DeviceOption,
    DtypeOption,
)
from vdr_integrations.cli.terminal.exits import reported
from vdr_integrations.cli.terminal.progress_bars import notice
from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders.elsewhere.server_address import KEY_VARIABLE

__all__ = ["serve_command"]


def serve_command(
    *,
    model: Annotated[
        str, typer.Option(help="Hub id or folder of the model, or nano.", show_default=False)
    ],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    max_visual_tokens: Annotated[
        int,
        typer.Option(min=1, help="Upper limit of a page that a client sends as it is."),
    ] = DEFAULT_VISUAL_TOKENS,
    host: Annotated[
        str, typer.Option(help=f"Address to listen at; other machines need ${KEY_VARIABLE}.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 8080,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name under which this machine may be called without a key."),
    ] = None,
    queue: Annotated[
        int,
        typer.Option(min=1, help="Pages and texts that may wait; more are refused for a while."),
    ] = 512,
    debug: DebugOption = False,
) -> None:
    """Serve a model to other processes and machines, over HTTP.

    Clients name the address where they would name a model: load_encoder("http://localhost:8080"),
    or vdr index --model http://localhost:8080. The server also answers as OpenAI's /v1/embeddings
    and vLLM's /pooling do. SIGTERM and Ctrl-C end it after the requests that were begun.
    """
    with reported(debug=debug):
        from vdr_integrations.encoders import load_encoder
        from vdr_integrations.serve import Access, ServeLimits, build_app, listening_at, run_server

        limits = ServeLimits(queue_items=queue, request_items=min(queue, 128))
        access = Access(
            host=host,
            key=os.environ.get(KEY_VARIABLE) or None,
            allowed_hosts=tuple(allow_host or ()),
        )
        with listening_at(host, port) as listening:
            notice("Loading the model ...")
            encoder = load_encoder(
                model,
                revision=revision,
                device=device,
                dtype=dtype,
                max_visual_tokens=max_visual_tokens,
            )
            app = build_app(encoder, access=access, limits=limits)
            shown = f"[{host}]" if ":" in host else host
            where = f"http://{shown}:{listening.getsockname()[1]}"
            typer.echo(
                f"Serving {encoder.name} on {encoder.core.facts.device} at {where}", err=True
            )
            run_server(app, listening)
