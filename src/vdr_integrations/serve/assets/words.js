// The choice of words whose match is shown in colours: one for all pages, and for the large view.

import { isolated, make } from "./elements.js";

/** A choice: the words by number (none: all words), or no colours. */
const NONE = { name: "No colours", words: null };

export class WordChoice {
  #choices = [];
  #at = 0;
  #groups;
  #onChange;

  constructor(groups, onChange) {
    this.#groups = groups;
    this.#onChange = onChange;
    for (const group of groups) {
      group.addEventListener("click", ({ target }) => {
        const button = target.closest("button");
        if (button) {
          this.#choose([...group.children].indexOf(button));
        }
      });
    }
  }

  /** Offer the words of a reply. Without heat maps there is nothing to choose. */
  offer(reply, { keep }) {
    const before = keep ? this.#choices[this.#at]?.name : undefined;
    const hasHeat = reply.hits.some((hit) => hit.heat_url !== null);
    this.#choices = hasHeat ? choicesOf(reply.words) : [];
    // Where tokens were pooled, colours are computed anew for each page: only if someone wants them.
    const first = reply.hits.some((hit) => hit.words !== null) ? 0 : this.#choices.length - 1;
    const same = this.#choices.findIndex(({ name }) => name === before);
    this.#at = Math.max(0, same >= 0 ? same : first);
    for (const group of this.#groups) {
      group.replaceChildren(
        ...this.#choices.map(({ name, isWord }, place) =>
          make("button", { type: "button", "aria-keyshortcuts": this.#keyOf(place) }, isWord ? isolated(name) : name),
        ),
      );
      group.hidden = this.#choices.length === 0;
    }
    this.#show();
  }

  /** Numbers of the chosen words; an empty list for all words, null for no colours. */
  get words() {
    return this.#choices[this.#at]?.words ?? null;
  }

  /** Go some choices on, around the ends. */
  step(by) {
    const count = this.#choices.length;
    if (count) {
      this.#choose((this.#at + by + count) % count);
    }
  }

  /** Choose the word with this key: "1" is the first word, "0" all words. */
  chooseKey(pressed) {
    const place = this.#choices.findIndex((_, at) => this.#keyOf(at) === pressed);
    if (place >= 0) {
      this.#choose(place);
    }
  }

  /** Take away the colours. False if there were none. */
  clear() {
    if (this.words === null) {
      return false;
    }
    this.#choose(this.#choices.length - 1);
    return true;
  }

  #keyOf(place) {
    const { words, isWord } = this.#choices[place];
    if (isWord) {
      return words[0] < 9 ? String(words[0] + 1) : null;
    }
    return words !== null && words.length === 0 ? "0" : null;
  }

  #choose(place) {
    this.#at = place;
    this.#show();
    this.#onChange();
  }

  #show() {
    for (const group of this.#groups) {
      [...group.children].forEach((button, place) => {
        button.setAttribute("aria-pressed", String(place === this.#at));
      });
      // Keep the chosen button in sight where the buttons are one long line.
      const chosen = group.children[this.#at];
      if (chosen && group.scrollWidth > group.clientWidth) {
        group.scrollLeft = chosen.offsetLeft - (group.clientWidth - chosen.offsetWidth) / 2;
      }
    }
  }
}

function choicesOf(words) {
  const main = words.filter((word) => word.is_main).map(({ word }) => word);
  const isSmaller = main.length > 0 && main.length < words.length;
  return [
    ...(isSmaller ? [{ name: "Main words", words: main }] : []),
    { name: "All words", words: [] },
    ...words.map(({ word, text }) => ({ name: text, words: [word], isWord: true })),
    NONE,
  ];
}
