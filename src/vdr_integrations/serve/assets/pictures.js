// Loads pictures and heat maps of the pages that are on the screen, each once.

import { picture } from "./server.js";

/** The pictures of one search. They are let go together. */
export class Pictures {
  #loads = new Map();
  #stop = new AbortController();
  #seen = new Map();
  #watch = new IntersectionObserver((entries) => this.#note(entries), { rootMargin: "600px 0px" });

  /** The picture at a path of the server, from memory if it is there. */
  load(path) {
    if (!this.#loads.has(path)) {
      const loading = picture(path, this.#stop.signal);
      loading.catch(() => this.#loads.delete(path)); // the next call tries again
      this.#loads.set(path, loading);
    }
    return this.#loads.get(path);
  }

  /** Call back once, when an element is on the screen or near it. */
  whenSeen(element, call) {
    this.#seen.set(element, call);
    this.#watch.observe(element);
  }

  /** Stop what is loading, and free the memory. */
  letGo() {
    this.#stop.abort();
    this.#watch.disconnect();
    for (const loading of this.#loads.values()) {
      loading.then(({ url }) => URL.revokeObjectURL(url), () => {});
    }
  }

  #note(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && this.#seen.has(target)) {
        const call = this.#seen.get(target);
        this.#seen.delete(target);
        this.#watch.unobserve(target);
        call();
      }
    }
  }
}

/** The path of a heat map. `words` are numbers; none means all words. */
export function heatPath(hit, words) {
  return hit.heat_url + words.map((word) => `&word=${word}`).join("");
}

/** The path of a picture that is `width` pixels wide. */
export const widePath = (hit, width) => `${hit.picture_url}&width=${width}`;
