"""What runs behind the address of a server: ``vdr serve``, vLLM, or something else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vdr_integrations.encoders.checkpoints.hub_or_folder import CheckpointFiles
from vdr_integrations.encoders.elsewhere.http_calls import calls_to
from vdr_integrations.encoders.elsewhere.io_loop import in_io_loop
from vdr_integrations.encoders.elsewhere.served_model import ServedModel
from vdr_integrations.encoders.elsewhere.server_address import ServerAddress
from vdr_integrations.encoders.elsewhere.vllm_checkpoint import known_name
from vdr_integrations.encoders.elsewhere.vllm_opening import opened_on_vllm
from vdr_integrations.encoders.elsewhere.vllm_server import VllmCard
from vdr_integrations.encoders.elsewhere.wire import MODELS_PATH, ServedFacts
from vdr_integrations.encoders.runtime.running_model import OpenedModel
from vdr_integrations.errors import ModelServerError, OptionError

if TYPE_CHECKING:
    from vdr_integrations.encoders.checkpoints.description import Checkpoint
    from vdr_integrations.encoders.load_options import LoadOptions

__all__ = ["ServerOrigin", "server_origin"]

_OF_THE_SERVER: LoadOptions = {"device": None, "dtype": "auto", "attn_implementation": None}
_OF_FILES: LoadOptions = {
    "revision": None,
    "checkpoint": None,
    "cache_dir": None,
    "local_files_only": False,
}
"""They say where the tokenizer is that vLLM does not send."""


@dataclass(frozen=True, slots=True)
class ServerOrigin:
    """The server of a model.

    Attributes:
        address: Its address.
        described: The caller's description of what vLLM serves; None if it is known.
        files: How the small files of a checkpoint are fetched that vLLM serves.
        chosen: Options that only vLLM's models have, if some were given.
    """

    address: ServerAddress
    described: Checkpoint | None = None
    files: CheckpointFiles = field(default_factory=lambda: CheckpointFiles(model=""))
    chosen: tuple[str, ...] = ()

    def opened(self) -> OpenedModel:
        """The model, after the server has said which one it is.

        Raises:
            ModelServerError: It cannot be reached, or is another kind of server.
            VdrError: See ``opened_on_vllm``.
        """
        calls = calls_to(ServerAddress.of(self.address.url, key=self.address.key))
        first = _first(in_io_loop(calls.get(MODELS_PATH)).result())
        url = self.address.url
        if "vdr" not in first:
            card = VllmCard.of_json(first)
            if card is None or (first.get("owned_by") != "vllm" and known_name(card) is None):
                raise _other_server(url, "its models have no vdr")
            return opened_on_vllm(calls, card, described=self.described, files=self.files)
        try:
            served = ServedFacts.of_json(first["vdr"])
        except ValueError as error:
            raise _other_server(url, str(error)) from None
        _refuse(self.chosen)
        return OpenedModel(ServedModel(calls, served), served.checkpoint, served.revision)

    def for_pickles(self) -> ServerOrigin:
        """The same without the key."""
        return replace(self, address=self.address.without_key())


def server_origin(url: str, given: LoadOptions) -> ServerOrigin:
    """The server at an address.

    Args:
        url: Its address.
        given: Options of ``load_encoder``; ``token`` is the key of the server.

    Raises:
        OptionError: Not an address, or options that the server has chosen already.
    """
    _refuse(_chosen(given, _OF_THE_SERVER))
    described = given.get("checkpoint")
    if described is not None and Path(described.model).is_dir():  # another process finds it too
        described = replace(described, model=str(Path(described.model).absolute()))
    return ServerOrigin(
        ServerAddress.of(url, key=given.get("token")),
        described=described,
        files=CheckpointFiles(
            model="",
            revision=given.get("revision"),
            cache_dir=given.get("cache_dir"),
            local_files_only=given.get("local_files_only", False),
        ),
        chosen=_chosen(given, _OF_FILES),
    )


def _chosen(given: LoadOptions, left_out: LoadOptions) -> tuple[str, ...]:
    return tuple(name for name, usual in left_out.items() if given.get(name) not in (None, usual))


def _refuse(chosen: tuple[str, ...]) -> None:
    if chosen:
        raise OptionError(
            f"found {', '.join(chosen)} together with the address of a server; the server has "
            f"loaded its model already. Leave that out, or give it to the server."
        )


def _first(listed: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """The first model of a list; empty if there is none."""
    try:
        found = listed["data"][0]
    except (KeyError, IndexError, TypeError):
        return {}
    return {**found} if isinstance(found, dict) else {}


def _other_server(url: str, why: str) -> ModelServerError:
    return ModelServerError(
        f"{url} is not vdr serve of this version ({why}), and not vLLM with a known checkpoint. "
        f"Start vdr serve there, with the version of vdr-integrations that is installed here, or "
        f"vLLM with a checkpoint of one vector a token that `vdr models` lists."
    )
