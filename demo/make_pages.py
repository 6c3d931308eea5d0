"""Draw the generated part of the demo corpus: reports with charts and tables in five languages.

    python demo/make_pages.py

writes one PDF for each report of ``reports.json`` into ``demo/documents``, byte for byte the same
every time. The PDFs are committed; this script is how they were made.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pymupdf

DEMO = Path(__file__).resolve().parent
WIDTH, HEIGHT = 720, 405  # points: a 16:9 slide
MARGIN = 36
TEXT = pymupdf.Rect(MARGIN, 118, 322, HEIGHT - 40)
PLOT = pymupdf.Rect(350, 160, WIDTH - MARGIN, 330)
INK, GRID = (0.12, 0.14, 0.2), (0.8, 0.82, 0.86)
COLOURS = [
    (0.16, 0.38, 0.67),
    (0.86, 0.45, 0.13),
    (0.24, 0.56, 0.33),
    (0.63, 0.25, 0.45),
    (0.55, 0.5, 0.2),
    (0.3, 0.3, 0.35),
]


def main() -> None:
    """Draw every report."""
    reports = json.loads((DEMO / "reports.json").read_text(encoding="utf-8"))
    for name, report in reports.items():
        document = pymupdf.open()
        for number, content in enumerate(report["pages"], start=1):
            page = document.new_page(width=WIDTH, height=HEIGHT)
            draw_text(page, report["title"], content, f"{number} / {len(report['pages'])}")
            if "table" in content:
                draw_table(page, content["table"])
            else:
                draw_chart(page, content["chart"])
        path = DEMO / "documents" / f"{name}.pdf"
        document.set_metadata({"title": report["title"], "producer": "vdr-integrations demo"})
        document.save(path, garbage=3, deflate=True, no_new_id=True)
        print(f"{path.name}: {len(document)} pages, {path.stat().st_size} bytes")


def draw_text(page: pymupdf.Page, title: str, content: dict[str, Any], folio: str) -> None:
    """Title, rule, heading, paragraph and page number."""
    page.insert_text((MARGIN, 34), title, fontname="helv", fontsize=12, color=INK)
    page.draw_line((MARGIN, 44), (WIDTH - MARGIN, 44), color=GRID, width=1)
    page.insert_text((MARGIN, 86), content["heading"], fontname="hebo", fontsize=26, color=INK)
    page.insert_textbox(TEXT, content["text"], fontname="tiro", fontsize=16, lineheight=1.35)
    page.insert_text((WIDTH - MARGIN - 25, HEIGHT - 20), folio, fontname="helv", fontsize=10)


def draw_table(page: pymupdf.Page, rows: list[list[str]]) -> None:
    """A ruled table; the first row is its head."""
    top, row_height = 118, 36
    columns = [PLOT.x0 + 8, PLOT.x0 + 138, *(PLOT.x0 + 138 + 96 * n for n in (1, 2))]
    if len(rows[0]) == 4:  # narrower columns
        columns = [PLOT.x0 + 8, PLOT.x0 + 112, PLOT.x0 + 188, PLOT.x0 + 260]
    for index, row in enumerate(rows):
        y = top + index * row_height
        line = pymupdf.Rect(PLOT.x0, y, WIDTH - MARGIN, y + row_height)
        shade = (0.87, 0.9, 0.95) if index == 0 else (0.97, 0.97, 0.97) if index % 2 else None
        page.draw_rect(line, color=GRID, fill=shade, width=0.8)
        for x, cell in zip(columns, row, strict=False):
            font = "hebo" if index == 0 else "helv"
            page.insert_text((x, y + 23), cell, fontname=font, fontsize=13, color=INK)


def draw_chart(page: pymupdf.Page, chart: dict[str, Any]) -> None:
    """A caption and the chart of the given kind."""
    page.insert_text((PLOT.x0, 134), chart["caption"], fontname="hebo", fontsize=14, color=INK)
    draw = {"bar": draw_bars, "line": draw_line, "pie": draw_pie}[chart["kind"]]
    draw(page, chart["values"])


def draw_bars(page: pymupdf.Page, values: dict[str, float]) -> None:
    """Vertical bars with their values on top."""
    scale = draw_axes(page, max(values.values()))
    step = PLOT.width / len(values)
    for index, (label, value) in enumerate(values.items()):
        left = PLOT.x0 + step * (index + 0.2)
        bar = pymupdf.Rect(left, PLOT.y1 - value * scale, left + step * 0.6, PLOT.y1)
        page.draw_rect(bar, color=None, fill=COLOURS[index])
        centred(page, left + step * 0.3, bar.y0 - 6, number_text(value), 12)
        centred(page, left + step * 0.3, PLOT.y1 + 20, label, 12)


def draw_line(page: pymupdf.Page, values: dict[str, float]) -> None:
    """A line with a dot and a value at every point."""
    scale = draw_axes(page, max(values.values()))
    step = PLOT.width / len(values)
    points = [
        pymupdf.Point(PLOT.x0 + step * (index + 0.5), PLOT.y1 - value * scale)
        for index, value in enumerate(values.values())
    ]
    page.draw_polyline(points, color=COLOURS[0], width=2.5)
    for point, (label, value) in zip(points, values.items(), strict=True):
        page.draw_circle(point, 4, color=COLOURS[0], fill=COLOURS[0])
        centred(page, point.x, point.y - 12, number_text(value), 12)
        centred(page, point.x, PLOT.y1 + 20, label, 12)


def draw_axes(page: pymupdf.Page, largest: float) -> float:
    """Base line and grid; returns points of height per unit."""
    for part in range(5):
        y = PLOT.y1 - PLOT.height * part / 4
        page.draw_line((PLOT.x0, y), (PLOT.x1, y), color=GRID if part else INK, width=1)
    return PLOT.height * 0.92 / largest


def draw_pie(page: pymupdf.Page, values: dict[str, float]) -> None:
    """Sectors, and a legend with the values."""
    centre, radius = pymupdf.Point(PLOT.x0 + 70, 250), 68
    total, turned = sum(values.values()), 0.0
    for index, (label, value) in enumerate(values.items()):
        angle = 360 * value / total
        start = centre + pymupdf.Point(
            radius * math.sin(math.radians(turned)), -radius * math.cos(math.radians(turned))
        )
        page.draw_sector(centre, start, -angle, color=(1, 1, 1), fill=COLOURS[index], width=1.5)
        turned += angle
        y = 186 + index * 34
        swatch = pymupdf.Rect(PLOT.x0 + 150, y - 12, PLOT.x0 + 166, y + 4)
        page.draw_rect(swatch, color=None, fill=COLOURS[index])
        legend = f"{label}: {number_text(value)} %"
        page.insert_text((PLOT.x0 + 174, y + 1), legend, fontname="helv", fontsize=13, color=INK)


def centred(page: pymupdf.Page, x: float, y: float, text: str, size: float) -> None:
    """Text centred on ``x``, its base line on ``y``."""
    half = pymupdf.get_text_length(text, fontname="helv", fontsize=size) / 2
    page.insert_text((x - half, y), text, fontname="helv", fontsize=size, color=INK)


def number_text(value: float) -> str:
    """Digits without a needless fraction."""
    return f"{value:g}"


if __name__ == "__main__":
    main()
