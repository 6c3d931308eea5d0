"use strict";
document.documentElement.classList.add("scripted");

// One switch per question: all its pages show the same word.
for (const section of document.querySelectorAll(".question")) {
  const buttons = [...section.querySelectorAll(".switch button")];
  const show = (chosen) => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
    for (const layer of section.querySelectorAll(".heat")) {
      layer.hidden = layer.dataset.heat !== chosen.dataset.heat;
    }
  };
  buttons.forEach((button, place) => {
    button.addEventListener("click", () => show(button));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) {
        event.preventDefault();
        const next = buttons[(place + step + buttons.length) % buttons.length];
        next.focus();
        show(next);
      }
    });
  });
}

// An enlarged page. Escape or a click closes it, and the focus returns.
const dialog = document.createElement("dialog");
const close = document.createElement("button");
close.type = "button";
close.className = "close";
close.textContent = "Close";
const stage = document.createElement("div");
stage.className = "stage";
dialog.append(close, stage);
document.body.append(dialog);
close.addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target === stage) {
    dialog.close();
  }
});
for (const zoom of document.querySelectorAll(".zoom")) {
  zoom.addEventListener("click", () => {
    const sheet = document.createElement("div");
    sheet.className = zoom.className.replace("zoom", "sheet");
    sheet.append(...[...zoom.children].map((child) => child.cloneNode(true)));
    stage.replaceChildren(sheet);
    dialog.setAttribute("aria-label", zoom.querySelector(".page").alt);
    dialog.showModal();
    close.focus();
  });
}
