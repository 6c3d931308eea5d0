// A page, as large as the window.

import { byId, make } from "./elements.js";

export class Viewer {
  #dialog = byId("viewer");
  #stage = byId("stage");
  #cards = [];
  #at = 0;
  #words;
  #sheet = null;

  constructor(words) {
    this.#words = words;
    byId("viewer-close").addEventListener("click", () => this.#dialog.close());
    byId("viewer-before").addEventListener("click", () => this.step(-1));
    byId("viewer-next").addEventListener("click", () => this.step(1));
    this.#dialog.addEventListener("click", ({ target }) => {
      if (target === this.#dialog || target === this.#stage) {
        this.#dialog.close();
      }
    });
    this.#dialog.addEventListener("close", () => {
      this.#stage.replaceChildren();
      this.#sheet = null;
      this.#cards[this.#at]?.focus();
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  open(cards, card) {
    this.#cards = cards;
    this.#at = cards.indexOf(card);
    this.#dialog.showModal();
    this.#show();
    byId("viewer-close").focus();
  }

  /** Go some pages on; the ends stay. */
  step(by) {
    const next = this.#at + by;
    if (next >= 0 && next < this.#cards.length) {
      this.#at = next;
      this.#show();
    }
  }

  recolour() {
    if (this.#sheet) {
      this.#cards[this.#at].recolour(this.#sheet, this.#words());
    }
  }

  close() {
    this.#dialog.close();
  }

  #show() {
    const card = this.#cards[this.#at];
    const sheet = make("div", { class: "sheet" });
    this.#sheet = sheet;
    byId("viewer-title").textContent = card.title;
    byId("viewer-before").disabled = this.#at === 0;
    byId("viewer-next").disabled = this.#at === this.#cards.length - 1;
    this.#stage.replaceChildren(sheet);
    this.#dialog.scrollTop = 0;
    card.into(sheet, this.#words()).catch((error) => {
      if (error.name !== "AbortError" && this.#sheet === sheet) {
        sheet.replaceWith(make("p", { class: "missing" }, "The picture of this page cannot be shown. ", error.message));
      }
    });
  }
}
