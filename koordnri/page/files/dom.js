// The only place where elements are made. Names, annotations and reasons come from tenants: they become text nodes, never markup.

/** An element with attributes and children; a child is a node or a text, and null is left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A table in a box that scrolls by itself. `rows` are lists of cells; a cell is a node or a text. The first one heads its row. */
export function table(caption, columns, rows, kind = null) {
  const head = element("tr", {}, ...columns.map((column) => element("th", { scope: "col" }, column)));
  const body = rows.map(([first, ...others]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...others.map((cell) => element("td", {}, cell))));
  return element("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    element("table", { class: kind }, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body)));
}

/** A list of texts, each after the same word. */
export function list(kind, word, texts) {
  return element("ul", { class: "findings" }, ...texts.map((text) =>
    element("li", { class: kind }, element("strong", {}, word), " ", text)));
}

/** Put these children in place of the present ones. A child that is as before stays, with its focus, selection and scroll position. */
export function fill(id, ...children) {
  const parent = document.getElementById(id);
  const wanted = children.filter((child) => child !== null).map((child) =>
    typeof child === "string" ? document.createTextNode(child) : child);
  wanted.forEach((child, index) => {
    const present = parent.childNodes[index];
    if (present === undefined) parent.append(child);
    else if (!present.isEqualNode(child)) present.replaceWith(child);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

/** A link to a pod's page. */
export function podLink(title) {
  return element("a", { href: podAddress(title) }, title);
}

/** NAMESPACE/NAME → the address of its page, without the path. */
export function podAddress(title) {
  return `#/pod/${title.split("/").map(encodeURIComponent).join("/")}`;
}
