"""``vdr show``: a page of an index as an image or as text."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vdr_integrations.cli.options.common_options import (
    DebugOption,
    IndexesOption,
    JsonOption,
    PageMemoryOption,
    PageTimeoutOption,
    PasswordOption,
    WorkersOption,
    password_in,
)
from vdr_integrations.cli.terminal.exits import reported
from vdr_integrations.cli.terminal.json_output import say_json
from vdr_integrations.cli.terminal.output_files import STDOUT, check_output, write_output
from vdr_integrations.errors import OptionError
from vdr_integrations.pages.process_limits import process_limits

if TYPE_CHECKING:
    from PIL import Image

    from vdr_integrations.index.page_index import PageIndex
    from vdr_integrations.retrieval import FoundPage
    from vdr_integrations.retrieval.page_pictures import PagePictures

__all__ = ["show_command"]


def show_command(
    source: Annotated[str | None, typer.Argument(help="Path or file name of the document.")] = None,
    page: Annotated[int | None, typer.Argument(min=1, help="Page number, from 1.")] = None,
    *,
    index: IndexesOption,
    ref: Annotated[
        str | None,
        typer.Option(
            "--ref", help="Reference of the page (vdr-page:...), instead of SOURCE and PAGE."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="PNG file to write; '-' for stdout. (default: open the image in a viewer)"
        ),
    ] = None,
    max_side_px: Annotated[
        int | None,
        typer.Option(
            "--max-side-px",
            min=1,
            max=10_000,
            help="Draw the PDF page again, with this many pixels on its longer side. (default: the "
            "image that was indexed)",
        ),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the text layer.")] = False,
    password_env: PasswordOption = None,
    workers: WorkersOption = None,
    page_timeout: PageTimeoutOption = None,
    page_memory: PageMemoryOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show a page of the index. It is an error if its file has changed since it was indexed."""
    with reported(debug=debug):
        from vdr_integrations.cli.options.indexes import opened_index
        from vdr_integrations.retrieval import PageSearcher

        is_seen = not (text or as_json) and out is None
        _check(source, page, ref, out, text=text, as_json=as_json, is_seen=is_seen)
        if max_side_px is not None and out is None and not is_seen:
            raise OptionError(
                "--max-side-px is the size of an image, and --text and --json draw none; add "
                "--out FILE, or leave out --max-side-px."
            )
        password = password_in(password_env)
        if out is not None:
            check_output(out, option="--out", suffix=".png")
        with opened_index(index) as opened:
            found = _page(opened, source, page, ref)
            picture = None
            if out is not None or is_seen:
                limits = process_limits(
                    render_workers=workers, page_timeout_s=page_timeout, page_memory_mb=page_memory
                )
                searcher = PageSearcher(opened, password=password, process_limits=limits)
                picture = _picture(searcher.pictures, found, max_side_px)
        if picture is not None:
            _deliver(picture, out)
        if as_json:
            _show_json(found, picture, out, text=text)
        elif text:
            sys.stdout.write(_printable(found.text))


def _check(
    source: str | None,
    page: int | None,
    ref: str | None,
    out: Path | None,
    *,
    text: bool,
    as_json: bool,
    is_seen: bool,
) -> None:
    if (source is None) != (page is None) or (source is None) == (ref is None):
        raise OptionError("name one page: SOURCE and PAGE, or --ref alone.")
    if out == STDOUT and (text or as_json):
        raise OptionError("--out - writes only the image; print text and JSON with another call.")
    if is_seen and not sys.stdout.isatty():
        raise OptionError("there is no terminal to show the page in; give --out FILE or --text.")


def _page(index: PageIndex, source: str | None, number: int | None, ref: str | None) -> FoundPage:
    from vdr_integrations.retrieval.indexed_documents import (
        document_named,
        page_of_document,
        pages_of_ref,
    )

    if ref is not None:
        return pages_of_ref(index, ref)[0]
    assert source is not None  # noqa: S101  # checked before
    assert number is not None  # noqa: S101
    return page_of_document(index, document_named(index, source), number)


def _picture(pictures: PagePictures, page: FoundPage, max_side_px: int | None) -> Image.Image:
    if max_side_px is None:
        return pictures.indexed(page).image
    image = pictures.zoomed(page, None, max_side_px=max_side_px).image
    if max(image.size) > max_side_px:
        image = image.copy()
        image.thumbnail((max_side_px, max_side_px))
    return image


def _deliver(picture: Image.Image, out: Path | None) -> None:
    """Write the image, or open it in the viewer of the desktop, or draw it in the terminal.

    Raises:
        OptionError: There is no viewer, and the terminal cannot show images.
    """
    file = io.BytesIO()
    picture.save(file, format="PNG")
    if out is not None:
        write_output(file.getvalue(), out)
    else:
        # The file stays, because the viewer may read it after this process has ended.
        with tempfile.NamedTemporaryFile("wb", prefix="vdr-", suffix=".png", delete=False) as made:
            made.write(file.getvalue())
        if typer.launch(made.name) != 0:
            from vdr_integrations.cli.terminal.thumbnails import drawn_in_terminal

            Path(made.name).unlink()
            try:
                sys.stdout.write(drawn_in_terminal(picture))
            except OptionError as error:
                raise OptionError(
                    f"there is no program to open images, and {error} Give --out FILE."
                ) from None


def _show_json(
    page: FoundPage, picture: Image.Image | None, out: Path | None, *, text: bool
) -> None:
    shown = {
        "source": page.source,
        "page_number": page.page_number,
        "page_label": page.page_label,
        "total_pages": page.total_pages,
        "page_ref": page.page_ref,
        "citation": page.citation,
    }
    if picture is not None:
        shown |= {"out": str(out), "width": picture.width, "height": picture.height}
    if text:
        shown["text"] = page.text
    say_json(shown)


def _printable(text: str) -> str:
    """Lines without control characters, which could control the terminal."""
    lines = [
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line.expandtabs())
        for line in text.splitlines()
    ]
    return "".join(f"{line}\n" for line in lines)
