// The search page: a question, its pages, and an address that keeps the question.

import { Card } from "./cards.js";
import { byId, isolated, make, plural } from "./elements.js";
import { listenToKeys } from "./keyboard.js";
import { Pictures } from "./pictures.js";
import { facts as askFacts, key, search, ServerError } from "./server.js";
import { Viewer } from "./viewer.js";
import { WordChoice } from "./words.js";

const FIRST_HITS = 10;
const SLOW_MS = 1500;

document.documentElement.classList.add("scripted");

const field = byId("question");
const hybrid = byId("hybrid");
let facts = null;
let cards = [];
let pictures = new Pictures();
let running = null;
let shown = null; // the question of the cards
let followed = null; // the address that was followed last

const words = new WordChoice([byId("words"), byId("viewer-words")], () => {
  for (const card of cards) {
    card.show(words.words);
  }
  viewer.recolour();
});
const viewer = new Viewer(() => words.words);

/** The question that the address keeps. */
function addressed() {
  const given = new URLSearchParams(location.search);
  const count = Number(given.get("k"));
  return {
    question: (given.get("q") ?? "").trim(),
    k: Number.isInteger(count) && count > 0 ? count : FIRST_HITS,
    hybrid: given.has("hybrid") ? given.get("hybrid") === "1" : null,
  };
}

function remember({ question, k, hybrid: both }) {
  const kept = new URLSearchParams({ q: question });
  if (k !== FIRST_HITS) {
    kept.set("k", String(k));
  }
  if (both !== (facts?.hybrid ?? false)) {
    kept.set("hybrid", both ? "1" : "0");
  }
  const address = `?${kept}`;
  if (address !== location.search) {
    history.pushState(null, "", address);
  }
}

/** What screen readers say; those who see the results need not read it too. */
function say(text, { isShown = true } = {}) {
  byId("status").textContent = text;
  byId("status").classList.toggle("hidden", !isShown);
}

/** Show one of: results, an error, the question for a key; or nothing. */
function showOnly(...ids) {
  for (const id of ["results", "error", "key-form"]) {
    byId(id).hidden = !ids.includes(id);
  }
  document.body.classList.toggle("has-results", ids.includes("results"));
}

function clearResults() {
  pictures.letGo();
  pictures = new Pictures();
  cards = [];
  shown = null;
  byId("pages").replaceChildren();
  showOnly();
}

function showError(error) {
  say("");
  if (error.needsKey) {
    byId("key-title").textContent = key.get() ? "The server did not accept this key" : "This server needs a key";
    byId("key-open").hidden = window.isSecureContext; // https, or this machine
    showOnly("key-form");
    byId("key").select();
    byId("key").focus();
    return;
  }
  const known = error instanceof ServerError;
  byId("error-title").textContent = known ? error.title : "This page has a fault";
  byId("error-told").textContent = error.message;
  byId("again").hidden = known && !error.canRepeat;
  showOnly("error");
}

/** Run one request at a time: a new one ends the one before. */
async function only(work, waiting) {
  running?.abort();
  const own = (running = new AbortController());
  const began = performance.now();
  say(waiting);
  byId("error").hidden = true;
  byId("found").setAttribute("aria-busy", "true");
  document.body.classList.add("loading");
  const slow = setInterval(() => {
    const seconds = Math.round((performance.now() - began) / 1000);
    if (performance.now() - began > SLOW_MS) {
      byId("seconds").textContent = ` ${seconds} s`;
    }
  }, 500);
  const counter = document.createElement("span");
  counter.id = "seconds";
  counter.setAttribute("aria-hidden", "true");
  byId("status").append(counter);
  try {
    await work(own.signal);
  } catch (error) {
    if (error.name !== "AbortError") {
      clearResults();
      showError(error);
    }
  } finally {
    clearInterval(slow);
    if (running === own) {
      running = null;
      byId("found").removeAttribute("aria-busy");
      document.body.classList.remove("loading");
    }
  }
}

async function loadFacts(signal) {
  if (facts !== null) {
    return;
  }
  facts = await askFacts(signal);
  byId("index-name").textContent = facts.index;
  byId("index-pages").textContent = facts.pages.toLocaleString("en");
  byId("index-model").textContent = facts.model;
  byId("facts").hidden = false;
  byId("full-match").textContent = `${facts.full_match} or more, on all pages`;
  byId("key-row").hidden = key.get() === null;
  field.maxLength = facts.most_characters;
  hybrid.checked = addressed().hybrid ?? facts.hybrid;
  for (const element of document.querySelectorAll("[data-heat]")) {
    element.hidden = (element.dataset.heat === "yes") !== facts.heat_maps;
  }
}

/** Do what the address says. */
function followAddress({ keepWord = false, focusOn = null } = {}) {
  const asked = addressed();
  followed = location.search;
  field.value = asked.question;
  if (!asked.question) {
    field.focus();
    document.title = "Visual search";
    only(async (signal) => {
      await loadFacts(signal);
      clearResults();
      say(facts.pages === 0 ? "This index has no pages yet. Add some: vdr index FOLDER --index ..." : "");
    }, "");
    return;
  }
  document.title = `${asked.question} · visual search`;
  only(async (signal) => {
    await loadFacts(signal);
    const both = asked.hybrid ?? facts.hybrid;
    hybrid.checked = both;
    const k = Math.min(asked.k, facts.most_hits);
    const reply = await search({ question: asked.question, k, hybrid: both }, signal);
    showReply(reply, { k, keepWord });
    if (focusOn !== null) {
      cards[focusOn]?.focus();
    }
  }, "Searching ...");
}

function showReply(reply, { k, keepWord }) {
  clearResults();
  shown = reply.question;
  const count = reply.hits.length;
  const none = facts.pages === 0 ? "This index has no pages yet." : "No page was found.";
  const found = count ? plural(count, "page", "pages") : "No page";
  byId("asked").replaceChildren(`${found} for `, make("q", {}, isolated(reply.question)));
  say(count ? `${found} found, best first.` : none, { isShown: count === 0 });
  const main = reply.words.filter((word) => word.is_main);
  byId("main-words").hidden = main.length === 0 || main.length === reply.words.length;
  const [which, how, match] = main.length === 1
    ? ["Main word: ", "Its match differs", "It matches"]
    : ["Main words: ", "Their match differs", "They match"];
  byId("main-words").replaceChildren(which,
    ...main.flatMap((word, place) => [place ? ", " : "", isolated(word.text)]),
    count > 1 ? `. ${how} most between these pages.` : `. ${match} this page best.`);
  words.offer(reply, { keep: keepWord });
  byId("scale").hidden = byId("words").hidden;
  for (const row of document.querySelectorAll("[data-score]")) {
    row.hidden = row.dataset.score !== reply.score_kind;
  }
  const onOpen = (card) => viewer.open(cards, card);
  cards = reply.hits.map((hit, place) => new Card(hit, place + 1, { reply, facts, pictures, onOpen }));
  byId("pages").replaceChildren(...cards.map((card) => card.element));
  for (const card of cards) {
    card.show(words.words);
  }
  byId("more").hidden = count < k || k >= facts.most_hits || count >= facts.pages;
  showOnly("results");
}

/** Move to another page. False if there is none, so that the key does what it does elsewhere. */
function moveTo(by) {
  if (viewer.isOpen) {
    viewer.step(by);
    return true;
  }
  const at = cards.findIndex((card) => card.hasFocus);
  const next = at < 0 ? (by > 0 ? 0 : -1) : at + by;
  if (at === 0 && by < 0) {
    field.focus();
    window.scrollTo({ top: 0 });
    return true;
  }
  if (next < 0 || next >= cards.length) {
    return false;
  }
  cards[next].focus();
  return true;
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = field.value.trim();
  if (!question) {
    field.focus();
    return;
  }
  remember({ question, k: FIRST_HITS, hybrid: hybrid.checked });
  followAddress();
});

hybrid.addEventListener("change", () => {
  if (shown !== null) {
    remember({ ...addressed(), hybrid: hybrid.checked });
    followAddress({ keepWord: true });
  }
});

byId("more").addEventListener("click", () => {
  const before = cards.length;
  const asked = addressed();
  remember({ ...asked, k: Math.min(before + FIRST_HITS, facts.most_hits), hybrid: hybrid.checked });
  followAddress({ keepWord: true, focusOn: before });
});

byId("again").addEventListener("click", () => followAddress());

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("key").value) {
    key.set(byId("key").value);
    byId("key").value = "";
    followAddress();
    field.focus();
  }
});

byId("forget").addEventListener("click", () => {
  key.forget();
  location.reload();
});

window.addEventListener("popstate", () => {
  if (location.search !== followed) { // else it is a link to a place on this page
    viewer.close();
    followAddress();
  }
});

listenToKeys({
  isViewing: () => viewer.isOpen,
  ask: () => {
    field.focus();
    field.select();
  },
  page: moveTo,
  word: (by) => {
    words.step(by);
    return cards.length > 0;
  },
  wordKey: (pressed) => {
    words.chooseKey(pressed);
    return cards.length > 0;
  },
  enlarge: () => {
    const card = cards.find((one) => one.hasFocus);
    if (card) {
      viewer.open(cards, card);
    }
    return card !== undefined;
  },
  clear: () => {
    if (running !== null) {
      running.abort();
      say("");
    } else if (!words.clear()) {
      field.value = "";
      field.focus();
    }
  },
});

followAddress();
