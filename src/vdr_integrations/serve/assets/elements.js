// Makes elements. Texts become text nodes: nothing that comes from the server is ever read as HTML.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is null is left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== null && value !== false) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Text of a document or file name, whose direction must not spread to what stands beside it. */
export const isolated = (text, attributes = {}) => make("bdi", attributes, text);

/** A bar from 0 to 1. Its length is a number in an SVG, as styles in attributes are not allowed. */
export function bar(share, meaning) {
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) {
      element.setAttribute(name, value);
    }
    return element;
  };
  const drawn = svg("svg", {
    class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", role: "img", "aria-label": meaning,
  });
  const full = (100 * Math.max(0, Math.min(1, share))).toFixed(1);
  drawn.append(svg("rect", { width: 100, height: 4 }), svg("rect", { class: "full", width: full, height: 4 }));
  return drawn;
}

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
