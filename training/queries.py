"""Stage 3, queries: the pieces of a query learn to add up to its content words' codes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as fn
from torch import Tensor

from training.codes import CharCodes, draw_words
from training.lexicon import LANGUAGES, invented, lexicon, number, split_words, weight
from training.nano import TEXT_CONSTANT, Nano, constant_directions
from training.read import ReadConfig, rate_at

if TYPE_CHECKING:
    from pathlib import Path

# what people put around the words they look for; it should weigh nothing
QUESTIONS = {
    "en": [
        "What is {}?",
        "How do I {}?",
        "Where can I find {}?",
        "When was {} introduced?",
        "Who wrote about {}?",
        "Which {} are there?",
        "Tell me about {}",
        "Why does {} matter?",
        "What does the document say about {}?",
        "How many {} are there in {}?",
        "What is the difference between {} and {}?",
        "How much is {}?",
    ],
    "it": [
        "Che cos'è {}?",
        "Come si fa {}?",
        "Dove trovo {}?",
        "Quando è stato introdotto {}?",
        "Chi ha scritto di {}?",
        "Quali sono {}?",
        "Parlami di {}",
        "Perché {} è importante?",
        "Cosa dice il documento su {}?",
        "Quanti {} ci sono in {}?",
        "Qual è la differenza tra {} e {}?",
        "Quanto costa {}?",
    ],
    "fr": [
        "Qu'est-ce que {} ?",
        "Comment faire {} ?",
        "Où trouver {} ?",
        "Quels sont {} ?",
        "Quand {} a-t-il été introduit ?",
        "Qui a écrit sur {} ?",
        "Pourquoi {} ?",
        "Que dit le document sur {} ?",
        "Combien de {} y a-t-il dans {} ?",
        "Quelle est la différence entre {} et {} ?",
        "Parlez-moi de {}",
    ],
    "de": [
        "Was ist {}?",
        "Wie macht man {}?",
        "Wo finde ich {}?",
        "Welche {} gibt es?",
        "Wann wurde {} eingeführt?",
        "Wer hat über {} geschrieben?",
        "Warum ist {} wichtig?",
        "Was sagt das Dokument über {}?",
        "Wie viele {} gibt es in {}?",
        "Was ist der Unterschied zwischen {} und {}?",
        "Erzähl mir von {}",
    ],
    "es": [
        "¿Qué es {}?",
        "¿Cómo se hace {}?",
        "¿Dónde encuentro {}?",
        "¿Cuáles son {}?",
        "¿Cuándo se introdujo {}?",
        "¿Quién escribió sobre {}?",
        "¿Por qué importa {}?",
        "¿Qué dice el documento sobre {}?",
        "¿Cuántos {} hay en {}?",
        "¿Cuál es la diferencia entre {} y {}?",
        "Háblame de {}",
    ],
}


@dataclass(frozen=True)
class QueryConfig(ReadConfig):
    """How long and how to train."""

    steps: int = 800
    batch: int = 400
    rate: float = 1.5e-3
    warmup: int = 30
    decay: float = 0.5
    seed: int = 9


def wrap(rng: np.random.Generator, language: str, text: str) -> str:
    """Put ``text`` into a question of ``language``."""
    patterns = QUESTIONS[language]
    pattern = patterns[int(rng.integers(len(patterns)))]
    holes = pattern.count("{}")
    words = text.split()
    cut = int(rng.integers(1, len(words))) if len(words) > 1 else 1
    if holes == 1:
        return pattern.format(text)
    return pattern.format(" ".join(words[:cut]), " ".join(words[cut:]) or text)


def draw_query(rng: np.random.Generator) -> tuple[str, list[str]]:
    """A query and the folded words in it that count."""
    language = str(rng.choice(LANGUAGES))
    words = lexicon(language)
    count = int(rng.integers(1, 7))
    content = words.draw_content(rng, count)
    for i in np.flatnonzero(rng.random(count) < 0.3):
        content[i] = words.draw(rng, 1, 0.5)[0]
    for i in np.flatnonzero(rng.random(count) < 0.1):
        content[i] = number(rng)
    for i in np.flatnonzero(rng.random(count) < 0.1):
        content[i] = invented(rng)
    printed: list[str] = []
    for word in content:
        if rng.random() < 0.4:
            printed += words.draw(rng, 1, 1.0)
        printed.append(str(word))
    text = " ".join(printed)
    case = rng.random()
    text = text.capitalize() if case < 0.4 else text.title() if case < 0.5 else text
    if rng.random() < 0.35:
        return wrap(rng, language, text), split_words(text)
    return text, split_words(text)


def wanted_queries(contents: list[list[str]], codes: CharCodes) -> Tensor:
    """Unit vectors of the sums of the words' codes; stop words are turned down further."""
    flat = [w for words in contents for w in words]
    share = torch.tensor([min(1.0, 0.1 + 1.5 * weight(w)) for w in flat])
    owner = torch.repeat_interleave(
        torch.arange(len(contents)), torch.tensor([len(words) for words in contents])
    )
    vectors = codes.words(flat) * share[:, None]
    total = vectors.new_zeros(len(contents), vectors.shape[1]).index_add(0, owner, vectors)
    return fn.normalize(total, dim=-1)


def draw_batch(rng: np.random.Generator, count: int) -> tuple[list[str], list[list[str]]]:
    """Queries of every length; a quarter are single words, look-alikes among them."""
    pairs = [draw_query(rng) for _ in range(count * 3 // 4)]
    single = draw_words(rng, 2 * count)
    rng.shuffle(single)
    pairs += [(word, [word]) for word in single[: count - len(pairs)]]
    return [q for q, _ in pairs], [w for _, w in pairs]


def train_pieces(out: Path, model: Nano, codes: CharCodes, config: QueryConfig) -> None:
    """Fit the piece embeddings (or load them from ``out/queries.pt``) on text alone.

    A query's vector starts as the sum of its pieces, so the tower itself is not needed here,
    and thousands of queries a second are seen.
    """
    path = out / "queries.pt"
    if path.exists():
        model.take_pieces(torch.load(path, weights_only=True))
        return
    table = model.text.embed_tokens.weight.data
    rng = np.random.default_rng(config.seed)
    constant = TEXT_CONSTANT * constant_directions(table.shape[1])[1]
    token = model.tokenizer.token_to_id
    bag = torch.nn.EmbeddingBag.from_pretrained(table - constant, freeze=False, mode="sum")
    optimizer = torch.optim.Adam(bag.parameters())
    began, log = time.time(), []
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, config)
        queries, contents = draw_batch(rng, config.batch)
        wanted = wanted_queries(contents, codes)
        encoded = model.tokenizer.encode_batch([f" {q}" for q in queries])
        ids = [e.ids or [token("<|im_end|>")] for e in encoded]
        starts = torch.tensor([0, *(len(i) for i in ids[:-1])]).cumsum(0)
        got = fn.normalize(bag(torch.tensor([i for q in ids for i in q]), starts), dim=-1)
        cosine = (got * wanted).sum(-1).mean()
        right = (got @ wanted.T).argmax(1) == torch.arange(len(got))
        optimizer.zero_grad()
        (1 - cosine).backward()
        optimizer.step()
        log.append((cosine.item(), right.float().mean().item()))
        if step % 50 == 49:
            cosine, right = np.mean(log, 0)
            minutes = (time.time() - began) / 60
            print(
                f"pieces {step + 1} cosine {cosine:.3f} right {right:.3f} {minutes:.1f} min",
                flush=True,
            )
            log = []
    learned = bag.weight.detach().clone()
    torch.save(learned, path)
    model.take_pieces(learned)
