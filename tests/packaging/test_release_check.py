"""What must not be published is refused; ``make release-check`` shows the rest."""

from __future__ import annotations

import pytest
from release.build import relative_links
from release.distributions import DISTRIBUTIONS, Distribution


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ('<img src="docs/a.png"> <a href="https://b">', ["docs/a.png"]),
        ("see [a]\n\n[a]: docs/a.md", ["docs/a.md"]),
        ("[a](docs/a.md) and ![b](b.png)", ["docs/a.md", "b.png"]),
        ("[![badge](https://x.example/b.svg)](LICENSE)", ["LICENSE"]),
        ("[here](<docs/a b.md>)", ["docs/a"]),
        ("[a](https://x.example) [b](#part) [c](mailto:a@x.example)", []),
    ],
)
def test_links_that_lead_nowhere_on_a_package_index_are_found(text: str, links: list[str]) -> None:
    assert relative_links(text) == links


@pytest.mark.parametrize("one", DISTRIBUTIONS, ids=lambda one: one.name)
def test_readmes_have_no_such_link(one: Distribution) -> None:
    readme = one.folder / one.described["project"]["readme"]
    assert relative_links(readme.read_text(encoding="utf-8")) == []
