"""What was published about the known checkpoints, and what they need here, as data.

The hub was out of reach when this was written: facts were read from copies of cards, of
configurations and of result tables. None and an empty tuple mean that no copy said anything. Sizes
are counted, not published: a test counts them again. Read a licence at its source before you rely
on it.
"""

from __future__ import annotations

from vdr_integrations.encoders.checkpoints.published_facts import (
    BaseModel,
    PublishedModel,
    PublishedScore,
)

__all__ = ["PUBLISHED_MODELS"]

_NANO = BaseModel(
    name="nano",
    family="Qwen2-VL",
    parameters=11_908_480,
    int8_bytes=15_891_200,
    hidden_size=512,
    context_tokens=4096,
    licence="apache-2.0",
)
_QWEN2_2B = BaseModel(
    name="Qwen2-VL-2B",
    family="Qwen2-VL",
    parameters=2_208_985_600,
    int8_bytes=2_448_632_832,
    hidden_size=1536,
    context_tokens=32768,
    licence="apache-2.0",
)
_QWEN2_7B = BaseModel(
    name="Qwen2-VL-7B",
    family="Qwen2-VL",
    parameters=7_746_378_240,
    int8_bytes=8_300_829_696,
    hidden_size=3584,
    context_tokens=32768,
)
_QWEN2_5_3B = BaseModel(
    name="Qwen2.5-VL-3B",
    family="Qwen2.5-VL",
    parameters=3_754_622_976,
    int8_bytes=4_073_901_056,
    hidden_size=2048,
    context_tokens=128000,
    licence="Qwen Research",
)
_QWEN2_5_7B = BaseModel(
    name="Qwen2.5-VL-7B",
    family="Qwen2.5-VL",
    parameters=7_747_169_280,
    int8_bytes=8_301_812_736,
    hidden_size=3584,
    context_tokens=128000,
)
_QWEN3_2B = BaseModel(
    name="Qwen3-VL-2B",
    family="Qwen3-VL",
    parameters=2_127_532_032,
    int8_bytes=2_446_401_536,
    hidden_size=2048,
    token_side_px=32,
    context_tokens=262144,
)
_QWEN3_4B = BaseModel(
    name="Qwen3-VL-4B",
    family="Qwen3-VL",
    parameters=4_437_815_808,
    int8_bytes=4_836_688_896,
    hidden_size=2560,
    token_side_px=32,
    context_tokens=262144,
)
_QWEN3_8B = BaseModel(
    name="Qwen3-VL-8B",
    family="Qwen3-VL",
    parameters=8_144_793_840,
    int8_bytes=8_779_147_168,
    hidden_size=4096,
    token_side_px=32,
    context_tokens=262144,
)

_FIVE = "en, it, fr, de, es"
_VDR_CARD = "card of llamaindex/vdr-2b-multi-v1, at 768 visual tokens"
_COLPALI = "README of illuin-tech/colpali"
_RESULTS = "mteb's results repository, 2026-08, mean of tasks"
_LEADERBOARD = "ViDoRe V3 leaderboard of 2026-04, in the card of athrael-soju/colqwen3.5-4.5B-v3"
_NOMIC_CARD = "its card"
_QWEN3_README = "README of QwenLM/Qwen3-VL-Embedding, which runs MMEB-v2"


def _v1(value: float, source: str, measure: str = "NDCG@5") -> PublishedScore:
    return PublishedScore(benchmark="ViDoRe V1", measure=measure, value=value, source=source)


def _v2(value: float, source: str, measure: str = "NDCG@5") -> PublishedScore:
    return PublishedScore(benchmark="ViDoRe V2", measure=measure, value=value, source=source)


def _v3(value: float, source: str) -> PublishedScore:
    return PublishedScore(benchmark="ViDoRe V3", measure="NDCG@10", value=value, source=source)


def _in_mmeb(first: float, second: float) -> tuple[PublishedScore, PublishedScore]:
    return (_v2(second, _QWEN3_README, "MMEB-v2's"), _v1(first, _QWEN3_README, "MMEB-v2's"))


_PREFIX = (
    'Until 2026-08 some releases of mteb left out the prefix "Query: " that it was trained with. '
    "A result of these may differ from what it can do."
)
_RESEARCH = (
    "Its base has the Qwen Research licence, which is not for commercial use, whatever the "
    "checkpoint's own licence says."
)
_OTHER_3B = "Its card gives its licence for the adapter alone."
_GME_POSITIONS = (
    "Its own code of 2024 seems to give the tokens of a page plain positions in a row; vLLM and "
    "sentence-transformers give them Qwen2-VL's positions of rows and columns, and so does this "
    "package. With which it was trained is not published: compare both on your pages."
)
_GME_FILES = "Its files are in float32: the download is twice as large as the weights here."
_GME_QUERY = (
    "Questions get the instruction of its card's example; describe a Checkpoint with another one "
    "if yours need it."
)
_QWEN3_BUDGET = (
    "Its preprocessor_config.json allows 1,280 visual tokens a page, its own script 1,800. A score "
    "may have been measured with either."
)
_QWEN3_LAST = (
    "The report names <|endoftext|> as the last token; the published code ends before it, as here."
)
_UNTRAINED = "Its projection is random: it is what adapters are loaded over, and finds nothing."
_PORT = (
    "A third party's port to transformers' layout. Its vectors were not compared with those of "
    "vidore/colqwen2.5-v0.2."
)
_LARGE_BUDGET = (
    "Its preprocessor_config.json allows 16,384 visual tokens a page, though it was trained with "
    "768. This package draws pages at max_visual_tokens, whatever the file says."
)
_CUT = (
    "Its projection gives 2,560 components a token, of which its configuration keeps the first "
    "320, as here. The score was measured with all 2,560."
)

_MODELS = (
    PublishedModel(
        model="llamaindex/vdr-2b-multi-v1",
        base=_QWEN2_2B,
        is_matryoshka=True,
        max_visual_tokens=768,
        languages=_FIVE,
        licence="apache-2.0",
        scores=(_v1(0.840, _VDR_CARD),),
        notes=("Its card reports 98 % of the quality at 512 components.",),
    ),
    PublishedModel(
        model="llamaindex/vdr-2b-v1",
        base=_QWEN2_2B,
        is_matryoshka=True,
        languages="en",
        licence="apache-2.0",
    ),
    PublishedModel(
        model="marco/mcdse-2b-v1",
        base=_QWEN2_2B,
        is_matryoshka=True,
        shortest_dimension=256,
        languages="it, es, en, fr, de",
        licence="apache-2.0",
        notes=("Its README has scores of its own data only: 0.822 NDCG@5, mean of languages.",),
    ),
    PublishedModel(
        model="MrLight/dse-qwen2-2b-mrl-v1",
        base=_QWEN2_2B,
        is_matryoshka=True,
        max_visual_tokens=2560,
        languages="en, fr",
        licence="apache-2.0",
        scores=(_v1(0.836, _VDR_CARD),),
    ),
    PublishedModel(
        model="Alibaba-NLP/gme-Qwen2-VL-2B-Instruct",
        base=_QWEN2_2B,
        max_visual_tokens=1280,
        languages="en, zh",
        licence="apache-2.0",
        scores=_in_mmeb(0.861, 0.540),
        notes=(_GME_POSITIONS, _GME_QUERY, _GME_FILES),
    ),
    PublishedModel(
        model="Alibaba-NLP/gme-Qwen2-VL-7B-Instruct",
        base=_QWEN2_7B,
        max_visual_tokens=1280,
        languages="en, zh",
        licence="apache-2.0",
        scores=_in_mmeb(0.894, 0.556),
        notes=(_GME_POSITIONS, _GME_QUERY, _GME_FILES),
    ),
    PublishedModel(
        model="nomic-ai/nomic-embed-multimodal-3b",
        base=_QWEN2_5_3B,
        adapter_over="Qwen/Qwen2.5-VL-3B-Instruct",
        languages=_FIVE,
        scores=(_v2(0.588, _NOMIC_CARD),),
        notes=(_RESEARCH,),
    ),
    PublishedModel(
        model="nomic-ai/nomic-embed-multimodal-7b",
        base=_QWEN2_5_7B,
        adapter_over="Qwen/Qwen2.5-VL-7B-Instruct",
        languages=_FIVE,
        scores=(_v2(0.597, _NOMIC_CARD),),
    ),
    PublishedModel(
        model="Qwen/Qwen3-VL-Embedding-2B",
        base=_QWEN3_2B,
        is_matryoshka=True,
        shortest_dimension=64,
        max_visual_tokens=1280,
        published_context=32768,
        languages="more than 30",
        licence="apache-2.0",
        scores=(_v3(0.526, _RESULTS), *_in_mmeb(0.844, 0.653)),
        notes=(_QWEN3_BUDGET, _QWEN3_LAST),
    ),
    PublishedModel(
        model="Qwen/Qwen3-VL-Embedding-8B",
        base=_QWEN3_8B,
        is_matryoshka=True,
        shortest_dimension=64,
        max_visual_tokens=1280,
        published_context=32768,
        languages="more than 30",
        licence="apache-2.0",
        scores=(_v3(0.578, _RESULTS), *_in_mmeb(0.872, 0.699)),
        notes=(_QWEN3_BUDGET, _QWEN3_LAST),
    ),
    PublishedModel(
        model="nano",
        base=_NANO,
        is_matryoshka=True,
        shortest_dimension=171,
        max_visual_tokens=768,
        languages=_FIVE,
        licence="apache-2.0",
        notes=("A toy in this package: it matches printed words only.",),
    ),
    PublishedModel(
        model="vidore/colqwen2-v1.0",
        base=_QWEN2_2B,
        adapter_over="vidore/colqwen2-base",
        token_dimension=128,
        max_visual_tokens=768,
        languages="en",
        licence="mit",
        scores=(_v3(0.447, _RESULTS), _v1(0.893, _COLPALI)),
        notes=(_PREFIX,),
    ),
    PublishedModel(
        model="vidore/colqwen2-v0.1",
        base=_QWEN2_2B,
        adapter_over="vidore/colqwen2-base",
        token_dimension=128,
        max_visual_tokens=768,
        languages="en",
        licence="mit",
        scores=(_v1(0.873, _COLPALI),),
        notes=(_PREFIX,),
    ),
    PublishedModel(
        model="vidore/colqwen2-base",
        base=_QWEN2_2B,
        token_dimension=128,
        max_visual_tokens=768,
        languages="en",
        licence="mit",
        notes=(_UNTRAINED,),
    ),
    PublishedModel(
        model="vidore/colqwen2-v1.0-hf",
        base=_QWEN2_2B,
        token_dimension=128,
        notes=("vidore/colqwen2-v1.0 in transformers' layout; questions end in a line break.",),
    ),
    PublishedModel(
        model="vidore/colqwen2.5-v0.2",
        base=_QWEN2_5_3B,
        adapter_over="vidore/colqwen2.5-base",
        token_dimension=128,
        max_visual_tokens=768,
        languages="en",
        licence="apache-2.0",
        scores=(_v3(0.519, _RESULTS), _v1(0.894, _COLPALI)),
        notes=(_RESEARCH, _OTHER_3B, _PREFIX),
    ),
    PublishedModel(
        model="vidore/colqwen2.5-v0.1",
        base=_QWEN2_5_3B,
        adapter_over="vidore/colqwen2.5-base",
        token_dimension=128,
        max_visual_tokens=16384,
        languages="en",
        licence="apache-2.0",
        scores=(_v1(0.888, _COLPALI),),
        notes=(
            _RESEARCH,
            _OTHER_3B,
            _LARGE_BUDGET,
            _PREFIX,
        ),
    ),
    PublishedModel(
        model="vidore/colqwen2.5-base",
        base=_QWEN2_5_3B,
        token_dimension=128,
        max_visual_tokens=768,
        notes=(_UNTRAINED, _RESEARCH),
    ),
    PublishedModel(
        model="Sahil-Kabir/colqwen2.5-v0.2-hf",
        base=_QWEN2_5_3B,
        token_dimension=128,
        notes=(_PORT, _RESEARCH),
    ),
    PublishedModel(
        model="nomic-ai/colnomic-embed-multimodal-3b",
        base=_QWEN2_5_3B,
        adapter_over="Qwen/Qwen2.5-VL-3B-Instruct",
        token_dimension=128,
        languages=_FIVE,
        licence="apache-2.0",
        scores=(_v3(0.558, _RESULTS), _v2(0.612, _NOMIC_CARD)),
        notes=(_RESEARCH, "Its licence is the one that mteb names.", _PREFIX),
    ),
    PublishedModel(
        model="nomic-ai/colnomic-embed-multimodal-7b",
        base=_QWEN2_5_7B,
        adapter_over="nomic-ai/colqwen2.5-7B-base",
        token_dimension=128,
        languages=_FIVE,
        licence="apache-2.0",
        scores=(_v3(0.573, _RESULTS), _v2(0.627, _NOMIC_CARD)),
        notes=(
            "The vision tower of its base is not that of Qwen's model: use the base that it names.",
            "Its licence is the one that mteb names.",
            _PREFIX,
        ),
    ),
    PublishedModel(
        model="TomoroAI/tomoro-colqwen3-embed-4b",
        base=_QWEN3_4B,
        token_dimension=320,
        max_visual_tokens=1280,
        licence="apache-2.0",
        scores=(_v3(0.602, _RESULTS),),
        notes=("Its decoder was merged with Qwen3-Embedding-4B, says its card.",),
    ),
    PublishedModel(
        model="TomoroAI/tomoro-colqwen3-embed-8b",
        base=_QWEN3_8B,
        token_dimension=320,
        max_visual_tokens=1280,
        licence="apache-2.0",
        scores=(_v3(0.616, _RESULTS),),
    ),
    PublishedModel(
        model="OpenSearch-AI/Ops-Colqwen3-4B",
        base=_QWEN3_4B,
        token_dimension=320,
        published_context=32768,
        languages="about 80",
        licence="apache-2.0",
        scores=(_v3(0.612, _LEADERBOARD),),
        notes=(_CUT,),
    ),
    PublishedModel(
        model="nano-colqwen2",
        base=_NANO,
        adapter_over="nano",
        token_dimension=128,
        max_visual_tokens=768,
        languages=_FIVE,
        licence="apache-2.0",
        notes=("A toy in this package: it matches printed words only.",),
    ),
)

PUBLISHED_MODELS: dict[str, PublishedModel] = {one.model: one for one in _MODELS}
"""Facts by the names of ``KNOWN_CHECKPOINTS``."""
