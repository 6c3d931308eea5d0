// A card for each page that was found, in the form of the report.

import { bar, isolated, make } from "./elements.js";
import { heatPath, widePath } from "./pictures.js";

const WIDE = 1.05;
/** Pixels of a picture in a card, for screens of one and of more pixels a point. */
const CARD_WIDTH = 900;

/** A page on the screen: its element, and its colours. */
export class Card {
  #pictures;
  #image = make("img", { class: "page", alt: "", hidden: true });
  #heat = make("img", { class: "heat", alt: "", hidden: true });
  #zoom;
  #fault = fault();
  #wanted = null;
  #isSeen = false;
  #article;

  constructor(hit, rank, { reply, facts, pictures, onOpen }) {
    this.hit = hit;
    this.title = `${hit.file_name}, page ${hit.page_number}`;
    this.#pictures = pictures;
    this.#image.alt = this.title;
    this.#zoom = make("button", { type: "button", class: "zoom waiting", "aria-label": `Enlarge ${this.title}` },
      this.#image, this.#heat);
    this.#zoom.addEventListener("click", () => onOpen(this));
    this.#sizes(hit.picture_size);
    this.#article = make("article", { "aria-labelledby": `hit-${rank}`, tabindex: "-1", class: this.#shape },
      make("figure", {}, this.#zoom, this.#fault), about(hit, rank, reply, facts), text(hit));
    this.element = make("li", {}, this.#article);
    pictures.whenSeen(this.element, () => {
      this.#isSeen = true;
      this.#load();
    });
  }

  /** Show the match of words, by number; none: all words; null: no colours. */
  show(words) {
    this.#wanted = words;
    if (this.#isSeen) {
      this.#colour();
    }
  }

  focus() {
    this.#article.focus({ preventScroll: true });
    this.#article.scrollIntoView({ block: "start" });
  }

  get hasFocus() {
    return this.#article.contains(document.activeElement);
  }

  /** Put the page and its colours into an element, as they are now: they are in memory. */
  async into(sheet, words) {
    const small = this.#pictures.load(this.#path());
    const page = make("img", { class: "page", alt: this.title });
    const heat = make("img", { class: "heat", alt: "", hidden: true });
    sheet.replaceChildren(page, heat, fault());
    page.src = (await small).url;
    await this.recolour(sheet, words);
    this.#pictures.load(widePath(this.hit, 1600)).then(({ url }) => { page.src = url; }, () => {});
  }

  async recolour(sheet, words) {
    sheet.wanted = words;
    const parts = { layer: sheet.querySelector(".heat"), over: sheet, told: sheet.querySelector(".fault") };
    await this.#mix(parts, words, () => sheet.wanted === words);
  }

  #path() {
    return widePath(this.hit, CARD_WIDTH);
  }

  async #load() {
    try {
      const { url } = await this.#pictures.load(this.#path());
      this.#image.src = url;
      await this.#image.decode();
    } catch (error) {
      if (error.name !== "AbortError") {
        const told = error.title ? error.message : "This browser cannot show it.";
        this.#article.querySelector("figure").replaceChildren(
          make("p", { class: "missing" }, "The picture of this page cannot be shown. ", isolated(told)));
        this.#article.className = "bare";
      }
      return;
    }
    this.#sizes([this.#image.naturalWidth, this.#image.naturalHeight]);
    this.#article.className = this.#shape;
    this.#image.hidden = false;
    this.#zoom.classList.remove("waiting");
    this.#colour();
  }

  #colour() {
    const words = this.#wanted;
    const parts = { layer: this.#heat, over: this.#zoom, told: this.#fault };
    this.#mix(parts, words, () => this.#wanted === words);
  }

  async #mix({ layer, over, told }, words, isWanted) {
    told.hidden = true;
    if (words === null || this.hit.heat_url === null) {
      layer.hidden = true;
      return;
    }
    try {
      const { url, blend } = await this.#pictures.load(heatPath(this.hit, words));
      if (isWanted()) {
        layer.src = url;
        layer.hidden = false;
        over.classList.toggle("on-dark", blend === "screen");
      }
    } catch (error) {
      if (error.name !== "AbortError" && isWanted()) {
        layer.hidden = true; // no colours must not look like colours of nothing
        told.replaceChildren("The colours cannot be shown. ", isolated(error.message));
        told.hidden = false;
      }
    }
  }

  #sizes(size) {
    const [width, height] = size ?? [720, 960]; // until the picture is here
    this.#shape = width >= WIDE * height ? "wide" : "tall";
    this.#image.width = width;
    this.#image.height = height;
    this.#zoom.style.setProperty("--shape", `${width} / ${height}`);
    this.#zoom.style.setProperty("--width", `${width}px`);
  }

  #shape = "tall";
}

const fault = () => make("p", { class: "missing fault", role: "status", hidden: true });

function about(hit, rank, reply, facts) {
  const label = hit.page_label === String(hit.page_number) ? "" : hit.page_label;
  const where = make("span", { class: "where" }, `page ${hit.page_number} of ${hit.total_pages}`,
    ...(label ? [" (printed ", isolated(label), ")"] : []));
  return make("div", { class: "about" },
    make("p", { class: "rank" }, make("span", { class: "hidden" }, "Rank "), String(rank)),
    make("h3", { id: `hit-${rank}` }, isolated(hit.file_name, { class: "file" }), " ", where),
    score(hit, reply),
    ...(hit.words === null ? [] : matches(hit, reply.words, facts)));
}

function score(hit, { score_name: name, highest_score: highest }) {
  const number = make("strong", {}, hit.score.toFixed(highest === 1 ? 3 : 2));
  const most = highest === null ? "" : ` of at most ${highest}`;
  const share = highest === null ? null : hit.score / highest;
  return make("p", { class: "score" }, make("span", {}, name === "Score" ? name : `${name} score`), make("span", {}, number, most),
    share === null ? null : bar(share, `${Math.round(100 * share)}% of the highest possible score`));
}

function matches(hit, words, facts) {
  const both = words.map((word, place) => ({ ...word, ...hit.words[place] }));
  const main = both.filter((word) => word.is_main);
  const others = both.filter((word) => !word.is_main);
  const which = others.length ? "main words" : "words";
  const clear = main.filter((word) => word.match >= facts.clear_match);
  const said = clear.length
    ? ["Matches clearly: ", ...clear.flatMap((word, place) => [place ? ", " : "", isolated(word.text)]), "."]
    : [`None of the ${which} matches this page clearly.`];
  return [
    make("p", { class: "clear" }, ...said),
    make("h4", {}, `How well the ${which} match`),
    bars(main),
    others.length
      ? make("details", { class: "others" }, make("summary", {}, "Other words"), bars(others))
      : null,
  ];
}

function bars(words) {
  return make("ul", { class: "words" }, ...words.map(({ text: word, match, share }) => {
    const number = match.toFixed(2);
    return make("li", {}, isolated(word), bar(share, `match ${number}`),
      make("span", { class: "number", "aria-hidden": "true" }, number));
  }));
}

function text(hit) {
  const pieces = hit.excerpt_pieces.map(([piece, isMarked]) => (isMarked ? make("mark", {}, piece) : piece));
  const said = pieces.length
    ? make("blockquote", { class: "excerpt", dir: "auto" }, make("p", {}, ...pieces))
    : make("p", { class: "excerpt none" }, "No text layer: this page was found by what it looks like.");
  const warnings = hit.warnings.map((warning) => make("p", { class: "path" }, "Warning: ", isolated(warning)));
  return make("div", { class: "text" }, said, ...warnings,
    make("p", { class: "path" }, make("span", { class: "hidden" }, "File: "), isolated(hit.document)));
}
