// The only place where elements are made. Names, annotations and reasons come from tenants: they become text nodes, never markup.

const LONG = 32; // characters

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
    element("tr", {}, cellOf("th", first), ...others.map((cell) => cellOf("td", cell))));
  return element("div", { class: "scroll", role: "group", "aria-label": caption, tabindex: "0" },
    element("table", { class: kind }, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body)));
}

/** A cell whose words stay whole, unless it is long: then it may break anywhere, so that it does not push others out of sight. */
function cellOf(name, content) {
  const cell = element(name, { scope: name === "th" ? "row" : null }, content);
  if (cell.textContent.length > LONG) cell.className = "long";
  return cell;
}

/** A list of texts, each after the same word. */
export function list(kind, word, texts) {
  return element("ul", { class: "findings" }, ...texts.map((text) =>
    element("li", { class: kind }, element("strong", {}, word), " ", text)));
}

/** Make these the children. Elements that are there are kept and changed, with their focus and scroll position. Made for elements
 *  without listeners. */
export function fill(id, ...children) {
  mergeChildren(document.getElementById(id), children.filter((child) => child !== null).map((child) =>
    typeof child === "string" ? document.createTextNode(child) : child));
}

function mergeChildren(parent, wanted) {
  const present = [...parent.childNodes];
  wanted.forEach((child, index) => {
    if (index < present.length) merge(present[index], child);
    else parent.append(child);
  });
  for (const surplus of present.slice(wanted.length)) surplus.remove();
}

function merge(present, wanted) {
  if (present.isEqualNode(wanted)) return;
  if (present.nodeName !== wanted.nodeName || present.nodeType !== Node.ELEMENT_NODE) {
    present.replaceWith(wanted);
    return;
  }
  for (const { name } of [...present.attributes]) if (!wanted.hasAttribute(name)) present.removeAttribute(name);
  for (const { name, value } of wanted.attributes) present.setAttribute(name, value);
  mergeChildren(present, [...wanted.childNodes]);
}

/** A link to a pod's page. */
export function podLink(title) {
  return element("a", { href: podAddress(title) }, title);
}

/** NAMESPACE/NAME → the address of its page, without the path. */
export function podAddress(title) {
  return `#/pod/${title.split("/").map(encodeURIComponent).join("/")}`;
}
