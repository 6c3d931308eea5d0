// What keys do. Keys of one letter or digit can be turned off, for those who speak to the computer.

import { byId } from "./elements.js";

const SETTING = "vdr-search-keys";

function isWriting(target) {
  return target.matches?.("input:not([type=checkbox]), textarea, select") ?? false;
}

/** Listen to keys. `does` has a function for each thing that a key can do. */
export function listenToKeys(does) {
  const isOn = byId("keys-on");
  isOn.checked = localStorage.getItem(SETTING) !== "off";
  isOn.addEventListener("change", () => localStorage.setItem(SETTING, isOn.checked ? "on" : "off"));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) {
      return;
    }
    const { key, target } = event;
    if (key === "Escape") {
      // In the large view, the browser closes it.
      if (!does.isViewing()) {
        does.clear();
        event.preventDefault();
      }
      return;
    }
    if (isWriting(target)) {
      if (key === "ArrowDown" && target.id === "question" && does.page(1)) {
        event.preventDefault();
      }
      return;
    }
    if (key.length === 1 && !isOn.checked) {
      return;
    }
    if (act(does, key, target)) {
      event.preventDefault();
    }
  });
}

function act(does, key, target) {
  if (key === "/" && !does.isViewing()) {
    does.ask();
    return true;
  }
  if (key === "j" || key === "k") {
    return does.page(key === "j" ? 1 : -1);
  }
  if ((key === "ArrowDown" || key === "ArrowUp") && !does.isViewing()) {
    return does.page(key === "ArrowDown" ? 1 : -1);
  }
  if (key === "ArrowRight" || key === "ArrowLeft") {
    return does.word(key === "ArrowRight" ? 1 : -1);
  }
  if (key === "Enter" && target.matches?.("article")) {
    return does.enlarge();
  }
  if (/^[0-9]$/.test(key)) {
    return does.wordKey(key);
  }
  return false;
}
