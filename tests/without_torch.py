"""Pytest plugin that skips what needs torch where torch is not installed.

    python -m pytest -p tests.without_torch --least 1500

``make test-light`` uses it: other versions of Python are tried in minutes and without gigabytes.
The run fails if fewer than ``--least`` tests passed, so that it cannot skip everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_SAYS = "No module named 'torch'"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--least``."""
    parser.addoption("--least", type=int, default=1, help="fail if fewer tests passed")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a module that imports torch."""
    return _skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip a test or fixture that imports torch."""
    return _skipped((yield))


def _skipped(report: Any) -> Any:  # of either kind
    if report.outcome == "failed" and _SAYS in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (report.nodeid, 0, "Skipped: needs torch")
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if hardly anything was tried."""
    least: Any = session.config.getoption("--least")
    reporter: Any = session.config.pluginmanager.getplugin("terminalreporter")
    passed = len(reporter.stats.get("passed", ()))
    if passed < least and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{passed} tests passed; at least {least} must", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
