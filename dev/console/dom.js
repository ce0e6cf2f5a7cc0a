// Builds and replaces elements. Text is always text: nothing on this page is parsed as HTML.

// Returns an element. A property that starts with "on" is a listener; one that is null or false is left out.
export const el = (name, properties = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
};

// Replaces the content of a node, unless it is the same: a person may have the focus in it, or text selected.
export const fill = (node, ...children) => {
  const next = el("div", {}, ...children);
  if (next.innerHTML !== node.innerHTML) node.replaceChildren(...next.childNodes);
};

// Shows items as the children of a node, in order. A child whose item is unchanged stays the same element.
export class Keyed {
  #known = new Map();

  constructor(node, render) {
    this.node = node;
    this.render = render;
  }

  // `versionOf` tells when an element has to be made again.
  show(items, keyOf, versionOf) {
    const next = new Map();
    for (const item of items) {
      const [key, version] = [keyOf(item), versionOf(item)];
      const known = this.#known.get(key);
      next.set(key, known?.version === version ? known : { version, element: this.render(item) });
    }
    this.#known = next;
    const elements = [...next.values()].map(({ element }) => element);
    const focused = this.node.contains(document.activeElement) ? document.activeElement : null;
    const label = focused?.getAttribute("aria-label");
    if (elements.length !== this.node.children.length || elements.some((element, index) => element !== this.node.children[index])) {
      this.node.replaceChildren(...elements);
      // A button of a row that was replaced keeps the focus.
      if (label) [...this.node.querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === label)?.focus();
    }
  }
}

// Tells a screen reader what happened.
export const announce = (text) => {
  document.getElementById("announcement").textContent = text;
};
