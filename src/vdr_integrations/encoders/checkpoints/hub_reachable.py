"""Whether the hub answers, in a bounded time; huggingface_hub itself tries for a minute."""

from __future__ import annotations

import threading

from huggingface_hub import constants, get_session

__all__ = ["why_out_of_reach"]

_ANSWER_S = 10.0
"""A hub that answers does so in less than a second, also from far away."""

_answered: set[str] = set()
"""Hubs that have answered this process."""


def why_out_of_reach() -> str:
    """Why the hub does not answer; empty if it does, whatever it answers."""
    endpoint = constants.ENDPOINT
    if endpoint in _answered:
        return ""
    problems: list[str] = []

    def ask() -> None:
        try:
            get_session().head(endpoint, timeout=_ANSWER_S, follow_redirects=False)
            problems.append("")
        except Exception as error:  # noqa: BLE001  # of many libraries; each means no answer
            problems.append(str(error) or type(error).__name__)

    # In a thread, because nothing else bounds how long the name of a host is looked up.
    thread = threading.Thread(target=ask, name="vdr-ask-hub", daemon=True)
    thread.start()
    thread.join(_ANSWER_S)
    reason = problems[0] if problems else f"no answer in {_ANSWER_S:.0f} s"
    if not reason:
        _answered.add(endpoint)
    return reason
