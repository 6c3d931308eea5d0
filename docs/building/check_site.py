"""Looks at the built site: it is complete, and no page loads anything from another host.

python docs/building/check_site.py
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

SITE = Path(__file__).resolve().parents[2] / "site"
LOADED_LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "next", "manifest"}
ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):")
NEEDED = ("index.html", "reference/encoders/index.html", "search.json")


class Loads(HTMLParser):
    """The addresses from which a page loads something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag loads."""
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and LOADED_LINKS & set(given.get("rel", "").split()):
            self.found.append(given.get("href", ""))
        elif tag != "link":
            self.found += [given.get("src", ""), given.get("srcset", "")]


def main() -> int:
    """Print what is wrong; returns the exit code."""
    wrong = [f"{name} is missing" for name in NEEDED if not (SITE / name).is_file()]
    pages = sorted(SITE.rglob("*.html"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if (role := ROLE.search(text)) is not None:
            wrong.append(f"{page.relative_to(SITE)} shows {role[0]}; see docstring_roles.py")
        loads = Loads()
        loads.feed(text)
        wrong += [
            f"{page.relative_to(SITE)} loads {address}; put the file into docs"
            for address in loads.found
            if address.startswith(("http:", "https:", "//"))
        ]
    print("\n".join(wrong) or f"{len(pages)} pages load nothing from other hosts.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
