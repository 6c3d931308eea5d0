"""The cluster: connecting to it, what it has, and the names of its machines."""

from __future__ import annotations

import importlib
import logging
import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vdr_integrations.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["connected", "most_of_one_machine", "node_name", "quiet_data", "ray_module", "total_of"]


_ANSWER_S = 20.0


def ray_module() -> Any:  # noqa: ANN401  # Ray is installed for few, and types need it
    """Ray itself, with Ray Data.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import ray

        importlib.import_module("ray.data")  # an attribute of ray from here on
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"ray", "pyarrow", "pandas"}:
            raise
        raise MissingExtraError(
            package="ray[data]", extra="ray", purpose="several machines"
        ) from error
    return ray


@contextmanager
def connected(address: str | None) -> Generator[Any]:
    """Ray, connected to a cluster, or as the caller has connected it already.

    Args:
        address: ``"local"`` starts Ray on this machine; ``"auto"`` finds the cluster of this
            machine; else the address of its head, such as ``"10.0.0.1:6379"``. None: what Ray
            chooses.

    Raises:
        MissingExtraError: Ray is not installed.
        OptionError: No cluster answers there.
    """
    ray = ray_module()
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options["include_dashboard"] = False
    try:
        _check_answer(address)
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as problem:
        why = str(problem).strip().partition("\n")[0].rstrip(".")
        raise OptionError(
            f"Ray at {address!r} cannot be used: {why}. Start it there (ray start --head), give "
            f"the address of its head, or 'local' to start it on this machine."
        ) from problem
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answer(address: str | None) -> None:
    """Try the port of a head: Ray itself would try for a quarter of an hour.

    Raises:
        OSError: Nobody answers, or this machine has no Ray.
    """
    if address in {None, "auto"}:
        address = os.environ.get("RAY_ADDRESS") or address
    if address is None or "://" in address:
        return
    if address == "auto":
        with suppress(ImportError, AttributeError):  # it is no public part of Ray
            services = importlib.import_module("ray._private.services")
            address = str(services.canonicalize_bootstrap_address(address))
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()


@contextmanager
def quiet_data(ray: Any) -> Generator[None]:  # noqa: ANN401  # the module
    """Let Ray Data show no bars and tell no news; its own log files keep them."""
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    bars, level = context.enable_progress_bars, logger.level
    context.enable_progress_bars = False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = bars
        logger.setLevel(level)


def node_name() -> str:
    """The name of this machine, and its number in the cluster, for messages."""
    ray = ray_module()
    return f"{socket.gethostname()} ({ray.get_runtime_context().get_node_id()[:8]})"


def total_of(ray: Any, resource: str) -> float:  # noqa: ANN401  # the module
    """How much the whole cluster has of a resource, used or not: ``"CPU"`` or ``"GPU"``."""
    return float(ray.cluster_resources().get(resource, 0.0))


def most_of_one_machine(ray: Any, resource: str) -> float:  # noqa: ANN401  # the module
    """How much the machine with the most of a resource has: no actor can have more."""
    machines = (node["Resources"] for node in ray.nodes() if node["Alive"])
    return max((float(one.get(resource, 0.0)) for one in machines), default=0.0)
