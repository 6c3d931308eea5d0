"""``vdr serve``: one model behind HTTP, for any number of clients."""

from __future__ import annotations

from vdr_integrations.errors import MissingExtraError

try:
    from vdr_integrations.serve.access import Access
    from vdr_integrations.serve.application import build_app
    from vdr_integrations.serve.run_server import listening_at, run_server
    from vdr_integrations.serve.serve_limits import ServeLimits
except ModuleNotFoundError as error:
    if error.name not in {"starlette", "uvicorn", "pydantic", "prometheus_client"}:
        raise
    raise MissingExtraError(package=error.name, extra="serve", purpose="vdr serve") from error

__all__ = ["Access", "ServeLimits", "build_app", "listening_at", "run_server"]
