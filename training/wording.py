"""What a synthetic page says: running text, sentences and titles around a few topic words."""

from __future__ import annotations

import numpy as np

from training.lexicon import LANGUAGES, invented, lexicon, number

MOST_TITLES = 40


class Wording:
    """Draws the text of one page and remembers its titles."""

    def __init__(self, rng: np.random.Generator, running_text: float) -> None:
        """``running_text`` is the share of texts with stop words in their natural frequency."""
        self.rng, self.running_text = rng, running_text
        self.language = str(rng.choice(LANGUAGES))
        self.lexicon = lexicon(self.language)
        self.topic = self.lexicon.draw_content(rng, 60)
        self.topic += [invented(rng).capitalize() for _ in range(6)]
        rng.shuffle(self.topic)
        self.titles: list[str] = []

    def words(self, count: int) -> list[str]:
        """``count`` words; some are numbers, names, capitalised or in capitals."""
        rng = self.rng
        if rng.random() < self.running_text:
            words = self.lexicon.draw(rng, count, 1.0 if rng.random() < 0.5 else 0.5)
            for i in np.flatnonzero(rng.random(count) < 0.35):
                words[i] = self.topic[int(len(self.topic) * rng.random() ** 2)]
        else:
            words = self.lexicon.draw(rng, count, 0.3)
        for i in np.flatnonzero(rng.random(count) < 0.12):
            kind = rng.random()
            if kind < 0.35:
                words[i] = number(rng)
            elif kind < 0.5:
                words[i] = invented(rng)
            elif kind < 0.8:
                words[i] = words[i].capitalize()
            else:
                words[i] = words[i].upper()
        return words

    def sentence(self, count: int) -> list[str]:
        """``count`` words with capitals and punctuation, ready to print."""
        words = self.words(count)
        words[0] = words[0].capitalize()
        for i in np.flatnonzero(self.rng.random(count) < 0.12):
            mark = self.rng.choice([",", ".", ";", ":", ")", "(", '"', "-"])
            words[i] = mark + words[i] if mark in '("' else words[i] + mark
        words[-1] += "."
        return words

    def title(self, longest: int = 6) -> str:
        """A heading of topic words with a stop word here and there."""
        count = int(self.rng.integers(1, longest + 1))
        words = [self.topic[int(self.rng.integers(len(self.topic)))] for _ in range(count)]
        if count > 2:
            words[count // 2] = self.lexicon.draw(self.rng, 1, 1.0)[0]
        if self.rng.random() < 0.1:
            words.append(number(self.rng))
        text = " ".join(words)
        if len(self.titles) < MOST_TITLES:
            self.titles.append(text)
        mode = self.rng.random()
        if mode < 0.6:
            return text[:1].upper() + text[1:]
        return text.title() if mode < 0.8 else text.upper() if mode < 0.9 else text
