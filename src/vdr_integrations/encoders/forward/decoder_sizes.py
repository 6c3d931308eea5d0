"""Read the decoder's part of a ``config.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vdr_integrations.encoders.forward.model_sizes import DecoderSizes

if TYPE_CHECKING:
    from vdr_integrations.encoders.forward.config_facts import ConfigFacts

__all__ = ["DecoderFamily", "read_decoder_sizes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderFamily:
    """How the decoders of a family are built, and what transformers assumes of them.

    Attributes:
        usual_counts: Numbers where a configuration says nothing, by their names in it.
        usual_epsilon: Of ``rms_norm_eps``.
        usual_theta: Of ``rope_theta``.
        usual_sections: Of ``mrope_section``.
        head_dimension: Components of a head where a configuration says nothing; None if they
            always are the hidden size divided by the heads.
        interleaved: See ``DecoderSizes``.
        attention_bias: See ``DecoderSizes``.
        head_norms: See ``DecoderSizes``.
    """

    usual_counts: dict[str, int]
    usual_epsilon: float
    usual_theta: float
    usual_sections: tuple[int, ...]
    head_dimension: int | None
    interleaved: bool
    attention_bias: bool
    head_norms: bool


def read_decoder_sizes(facts: ConfigFacts, family: DecoderFamily) -> DecoderSizes:
    """Check ``text_config``.

    Raises:
        CheckpointError: A number means nothing, or asks for what this package does not compute.
    """
    usual = family.usual_counts
    facts.must_be("hidden_act", "silu")
    facts.must_be("use_sliding_window", False, None)
    facts.must_be("attention_bias", family.attention_bias, None)
    width = facts.count("hidden_size", usual["hidden_size"])
    heads = facts.count("num_attention_heads", usual["num_attention_heads"])
    # Without a number of their own, there are as many keys as queries.
    name = "num_key_value_heads"
    is_null = facts.knows(name) and facts.value(name) is None
    known = heads if is_null else facts.count(name, usual[name])
    if heads % known:
        facts.refuse(name, known, f"a divisor of {heads} heads")
    dimension = _head_dimension(facts, width, heads, family.head_dimension)
    older = facts.part("rope_scaling")
    rope = older if older.facts else facts.part("rope_parameters")
    rope.must_be("rope_type" if rope.knows("rope_type") else "type", "default", "mrope")
    rope.must_be("mrope_interleaved", family.interleaved, None)
    return DecoderSizes(
        vocab_size=facts.count("vocab_size", usual["vocab_size"]),
        hidden_size=width,
        mlp_width=facts.count("intermediate_size", usual["intermediate_size"]),
        num_layers=facts.count("num_hidden_layers", usual["num_hidden_layers"]),
        num_heads=heads,
        num_key_value_heads=known,
        head_dimension=dimension,
        norm_epsilon=facts.positive("rms_norm_eps", family.usual_epsilon),
        rope_theta=rope.positive("rope_theta", facts.positive("rope_theta", family.usual_theta)),
        mrope_section=rope.sections("mrope_section", family.usual_sections, total=dimension // 2),
        interleaved=family.interleaved,
        attention_bias=family.attention_bias,
        head_norms=family.head_norms,
        max_tokens=facts.count("max_position_embeddings", usual["max_position_embeddings"]),
    )


def _head_dimension(facts: ConfigFacts, width: int, heads: int, usual: int | None) -> int:
    if usual is None:
        if width % (2 * heads):
            facts.refuse("hidden_size", width, f"a multiple of twice {heads} heads")
        facts.must_be("head_dim", width // heads, None)
        return width // heads
    dimension = facts.count("head_dim", usual)
    if dimension % 2:
        facts.refuse("head_dim", dimension, "an even number")
    return dimension
