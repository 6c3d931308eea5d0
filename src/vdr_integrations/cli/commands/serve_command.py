"""``vdr serve``: one model behind HTTP, for any number of clients; a page to search an index."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003  # typer reads it
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.cli.options.common_options import (
    DebugOption,
    DeviceOption,
    DtypeOption,
    HybridOption,
    PageMemoryOption,
    PageTimeoutOption,
    PasswordOption,
    WorkersOption,
    password_in,
)
from vdr_integrations.cli.terminal.exits import reported, say_warning
from vdr_integrations.cli.terminal.progress_bars import notice
from vdr_integrations.defaults import DEFAULT_VISUAL_TOKENS
from vdr_integrations.encoders import EncoderOptions
from vdr_integrations.encoders.elsewhere.server_variables import KEY_VARIABLE
from vdr_integrations.errors import OptionError
from vdr_integrations.pages.process_limits import process_limits

if TYPE_CHECKING:
    from vdr_integrations.encoders import DenseEncoder, MultiVectorEncoder
    from vdr_integrations.pages.process_limits import ProcessLimits
    from vdr_integrations.retrieval import PageSearcher

__all__ = ["serve_command"]


def serve_command(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            help="Hub id or folder of the model, or nano, or the address of another server of it. "
            "(default: as in the index)",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        list[Path] | None,
        typer.Option(
            "--index",
            metavar="PATH",
            help="Folder of an index: the server can search it, and has a page to do so. Repeat it "
            "for several, which are then one index.",
        ),
    ] = None,
    hybrid: HybridOption = False,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "auto",
    max_visual_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Upper limit of a page that a client sends as it is. (default: 768, or as in the "
            "index)",
        ),
    ] = None,
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
        typer.Option(min=1, help="Pages that may wait, and texts; more are refused for a while."),
    ] = 512,
    password_env: PasswordOption = None,
    workers: WorkersOption = None,
    page_timeout: PageTimeoutOption = None,
    page_memory: PageMemoryOption = None,
    debug: DebugOption = False,
) -> None:
    """Serve a model to other processes and machines, over HTTP; with --index also a search page.

    Clients name the address where they would name a model: load_encoder("http://localhost:8080"),
    or vdr index --model http://localhost:8080. The server also answers as OpenAI's /v1/embeddings
    and vLLM's /pooling do. With --index, open the address in a browser to search. SIGTERM and
    Ctrl-C end it after the requests that were begun.
    """
    with reported(debug=debug):
        from vdr_integrations.serve import Access, ServeLimits, build_app, listening_at, run_server

        limits = ServeLimits(queue_items=queue, request_items=min(queue, 128))
        access = Access(
            host=host,
            key=os.environ.get(KEY_VARIABLE) or None,
            allowed_hosts=tuple(allow_host or ()),
        )
        options = EncoderOptions(
            model=model,
            revision=revision,
            device=device,
            dtype=dtype,
            max_visual_tokens=max_visual_tokens,
        )
        password = password_in(password_env)
        drawing = process_limits(
            render_workers=workers, page_timeout_s=page_timeout, page_memory_mb=page_memory
        )
        if not index and model is None:
            raise OptionError("name what to serve: --model MODEL, or --index DIR with its model.")
        if not index and (hybrid or password is not None):
            raise OptionError("--hybrid and --password-env are for searches; add --index DIR.")
        with listening_at(host, port) as listening:
            _refuse_itself(model, listening.getsockname()[1])
            encoder, searcher = _loaded(index, options, password, drawing)
            app = build_app(encoder, searcher=searcher, hybrid=hybrid, access=access, limits=limits)
            shown = f"[{host}]" if ":" in host else host
            where = f"http://{shown}:{listening.getsockname()[1]}"
            typer.echo(
                f"Serving {encoder.name} on {encoder.core.facts.device} at {where}", err=True
            )
            if searcher is not None:
                _say_where_to_search(searcher, where)
            run_server(app, listening)


def _refuse_itself(model: str | None, port: int) -> None:
    """Refuse the own address as that of the model: it would wait for itself.

    Raises:
        OptionError: It is, or it is no address.
    """
    from vdr_integrations.encoders.elsewhere.server_address import ServerAddress, is_server_address

    if model is None or not is_server_address(model):
        return
    address = ServerAddress.of(model, key=None)
    if address.is_here and address.port == port:
        raise OptionError(
            f"the model is at {address.url}, where this server would listen, so it would ask "
            f"itself. Start the server of the model there first, and choose another --port here."
        )


def _loaded(
    index: list[Path] | None,
    options: EncoderOptions,
    password: str | None,
    limits: ProcessLimits | None,
) -> tuple[DenseEncoder | MultiVectorEncoder, PageSearcher | None]:
    """The encoder, and the searcher that has it, if there is an index."""
    if not index:
        from vdr_integrations.encoders import load_encoder

        notice("Loading the model ...")
        assert options.model is not None  # noqa: S101  # refused above
        encoder = load_encoder(
            options.model,
            revision=options.revision,
            device=options.device,
            dtype=options.dtype,
            max_visual_tokens=options.max_visual_tokens or DEFAULT_VISUAL_TOKENS,
        )
        return encoder, None
    from vdr_integrations.retrieval import PageSearcher

    searcher = PageSearcher(index, encoder=options, password=password, process_limits=limits)
    _ = searcher.index  # an index that cannot be opened is an error before the model is loaded
    notice("Loading the model ...")
    return searcher.encoder, searcher


def _say_where_to_search(searcher: PageSearcher, where: str) -> None:
    count = searcher.index.count_pages()
    if not count:
        say_warning(f"index {searcher.index.path} has no pages yet: vdr index FOLDER --index ...")
    typer.echo(f"Search its {count} pages in a browser: open {where}/", err=True)
