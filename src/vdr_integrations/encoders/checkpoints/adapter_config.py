"""Read ``adapter_config.json``: the base, ranks and scales. Other kinds of adapters are refused."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from vdr_integrations.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["PROJECTION", "AdapterConfig", "read_adapter_config"]

PROJECTION = "custom_text_proj"
"""colpali-engine's name of the projection to token vectors."""

_BASE = "base_model_name_or_path"
_DEFAULT_RANK = 8
_DEFAULT_ALPHA = 8.0

_UNDERSTOOD = frozenset(
    {
        _BASE,
        "revision",
        "r",
        "lora_alpha",
        "rank_pattern",
        "alpha_pattern",
        "use_rslora",
        "modules_to_save",
    }
)
"""Keys whose values are read below."""

_OF_NO_WEIGHT = frozenset(
    {
        "auto_mapping",
        "exclude_modules",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "lora_dropout",
        "peft_version",
        "runtime_config",
        "target_modules",
        "task_type",
    }
)
"""Keys whose values never change merged weights: the pairs in the file say what is adapted."""

_DEFAULTS: dict[str, Any] = {
    "bias": "none",
    "megatron_core": "megatron.core",
    "qalora_group_size": 16,
}
"""Defaults of peft that are not None, False or empty."""

_PLAIN_STARTS = frozenset({"gaussian", "orthogonal", "eva"})
"""Values of ``init_lora_weights``, besides true and false, that do not change the base's weights.
The others (pissa, olora, corda, loftq, lora_ga) replace them by a remainder."""

_SHOWN_CHARACTERS = 60

_Number = TypeVar("_Number", int, float)
_Patterns = tuple[tuple[str, _Number], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterConfig:
    """The configuration of a plain LoRA adapter; with the pairs it decides the merged weights.

    Attributes:
        base: Hub id or folder of the base checkpoint, as the adapter names it.
        base_revision: Revision of the base; None for the default revision.
        rank: Rank of the pairs that no pattern matches.
        alpha: Alpha of the pairs that no pattern matches.
        rank_patterns: Regular expressions for the ends of modules' names, with their ranks; the
            first match counts.
        alpha_patterns: The same for alphas.
        by_root: Divide updates by the square root of the rank instead of the rank.
        saves_projection: The projection was trained whole and is in the adapter's weights.
    """

    base: str
    base_revision: str | None
    rank: int
    alpha: float
    rank_patterns: _Patterns[int]
    alpha_patterns: _Patterns[float]
    by_root: bool
    saves_projection: bool

    def rank_of(self, module: str) -> int:
        """The rank of a module's pair; ``module`` is peft's name of it."""
        return _first_fit(self.rank_patterns, module, self.rank)

    def scale_of(self, module: str) -> float:
        """The factor of the product of a module's pair."""
        rank = self.rank_of(module)
        alpha = _first_fit(self.alpha_patterns, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.by_root else rank)

    @property
    def facts(self) -> dict[str, Any]:
        """Everything that decides the merged weights besides base and pairs, for JSON.

        It is the same for a default that is written and one that is left out. Patterns keep their
        order, which matters.
        """
        return {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "use_rslora": self.by_root,
            "rank_pattern": [list(one) for one in self.rank_patterns],
            "alpha_pattern": [list(one) for one in self.alpha_patterns],
        }


def read_adapter_config(config_file: Path, *, name: str) -> AdapterConfig:
    """Read ``adapter_config.json`` as peft does, or refuse it.

    Args:
        config_file: The file.
        name: Name of the checkpoint in error messages.

    Raises:
        CheckpointError: The file does not name its base, a value is invalid, or the kind of adapter
            is not merged like plain LoRA.
    """
    facts = _named_base(config_file, name)
    wrong = [
        f"{key}={_shown(value)}" for key, value in facts.items() if not _is_plain(key, value, facts)
    ]
    if wrong:
        raise CheckpointError(
            f"{name} is an adapter with {', '.join(wrong)}; only plain LoRA is supported, with "
            f"rank_pattern, alpha_pattern and use_rslora. Merge it with a version of peft that "
            f"supports these keys (merge_and_unload) and load the merged folder."
        )
    values = _Values(facts, f"{name}: {config_file.name}")
    return AdapterConfig(
        base=facts[_BASE],
        base_revision=values.revision(),
        rank=values.number("r", _as_rank, _DEFAULT_RANK),
        alpha=values.number("lora_alpha", _as_alpha, _DEFAULT_ALPHA),
        rank_patterns=values.patterns("rank_pattern", _as_rank),
        alpha_patterns=values.patterns("alpha_pattern", _as_alpha),
        by_root=values.flag("use_rslora"),
        saves_projection=bool(facts.get("modules_to_save")),
    )


def _named_base(config_file: Path, name: str) -> dict[str, Any]:
    try:
        facts: Any = json.loads(config_file.read_text(encoding="utf-8"))
        found = f"has a {type(facts).__name__} instead of an object"
    except ValueError as error:
        facts, found = None, f"is not JSON ({error})"
    if isinstance(facts, dict):
        known = cast("dict[str, Any]", facts)
        base = known.get(_BASE)
        if base and isinstance(base, str):
            return known
        found = f"has {_BASE}={base!r}, which must name a checkpoint or its folder"
    raise CheckpointError(
        f"{name} is an adapter whose {config_file.name} {found}. Download the checkpoint again, "
        f"or save the adapter again with peft."
    )


def _is_plain(key: str, value: object, facts: dict[str, Any]) -> bool:
    """Whether a merge of plain LoRA does what this key says."""
    if key == "modules_to_save":
        return not value or value == [PROJECTION]
    if key in _UNDERSTOOD or key in _OF_NO_WEIGHT or _is_absent(value):
        return True
    if key == "peft_type":
        return isinstance(value, str) and value.upper() == "LORA"
    if key == "init_lora_weights":
        return value is True or _starts_plainly(value)
    if key == "eva_config":  # how eva chose its initial pairs
        return facts.get("init_lora_weights") == "eva"
    return key in _DEFAULTS and type(value) is type(_DEFAULTS[key]) and value == _DEFAULTS[key]


def _starts_plainly(value: object) -> bool:
    return isinstance(value, str) and value.lower() in _PLAIN_STARTS


def _is_absent(value: object) -> bool:
    return value is None or value is False or value in ("", [], {})


def _first_fit(patterns: _Patterns[_Number], module: str, otherwise: _Number) -> _Number:
    # peft.utils.other.get_pattern_key
    fits = (value for key, value in patterns if re.match(rf"(.*\.)?({key})$", module))
    return next(fits, otherwise)


@dataclass(frozen=True, slots=True)
class _Values:
    """The values that are used for computing; an invalid value is refused by its key."""

    facts: dict[str, Any]
    subject: str

    def number(
        self, key: str, parse: Callable[[object], _Number | None], default: _Number
    ) -> _Number:
        if key not in self.facts:
            return default
        return self._parsed(key, self.facts[key], parse)

    def patterns(self, key: str, parse: Callable[[object], _Number | None]) -> _Patterns[_Number]:
        found = self.facts.get(key)
        if found is None:
            return ()
        if not isinstance(found, dict):
            raise self._refused(key, found, "an object of patterns and numbers")
        values = cast("dict[str, Any]", found)
        for pattern in values:
            try:
                re.compile(rf"(.*\.)?({pattern})$")
            except (re.error, OverflowError, RecursionError) as error:
                allowed = f"regular expressions for the names of modules ({error})"
                raise self._refused(key, pattern, allowed) from None
        return tuple(
            (pattern, self._parsed(f"{key} of {_shown(pattern)}", value, parse))
            for pattern, value in values.items()
        )

    def flag(self, key: str) -> bool:
        found = self.facts.get(key)
        if found is None or isinstance(found, bool):
            return bool(found)
        raise self._refused(key, found, "true or false")

    def revision(self) -> str | None:
        found = self.facts.get("revision")
        if found is None or isinstance(found, str):
            return found or None
        raise self._refused("revision", found, "the name of a revision")

    def _parsed(
        self, key: str, found: object, parse: Callable[[object], _Number | None]
    ) -> _Number:
        value = parse(found)
        if value is None:
            allowed = "a whole number from 1" if parse is _as_rank else "a finite number"
            raise self._refused(key, found, allowed)
        return value

    def _refused(self, key: str, found: object, allowed: str) -> CheckpointError:
        return CheckpointError(
            f"{self.subject} has {key}={_shown(found)}, which must be {allowed}. Download the "
            f"checkpoint again, or save the adapter again with peft."
        )


def _as_rank(found: object) -> int | None:
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        return None
    return found


def _as_alpha(found: object) -> float | None:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        value = float(found)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
