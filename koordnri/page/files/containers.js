// The table of containers. Rows live as long as their container, and an update changes only the cells that differ.

import { element, fill, podAddress } from "./dom.js";
import { cpus, plural } from "./values.js";

const COLUMNS = [
  { key: "pod", title: "Pod" },
  { key: "name", title: "Container" },
  { key: "class", title: "Class" },
  { key: "kube", title: "Kubernetes QoS" },
  { key: "exclusive", title: "Exclusive" },
  { key: "requested", title: "Requested CPUs", kind: "number" },
  { key: "given", title: "Limit, CPUs", kind: "number" },
  { key: "cpus", title: "Runs on", kind: "long" },
];
const order = new Intl.Collator("en", { numeric: true }).compare;

const rows = new Map(); // id of the container → {row, cells, values, text}
let sorting = { key: "pod", down: false };

/** Make the table's head, and follow the search field. Once. */
export function startContainers() {
  const head = element("tr", {}, ...COLUMNS.map((column) => {
    const button = element("button", { type: "button" }, column.title);
    button.addEventListener("click", () => sortBy(column.key));
    return element("th", { scope: "col", "data-key": column.key, class: column.kind ?? null }, button);
  }));
  fill("containers-table", element("caption", { class: "hidden" }, "Containers of this node, sorted by the column that says so"),
    element("thead", {}, head), element("tbody", { id: "containers-body" }));
  document.getElementById("search").addEventListener("input", filter);
  showSorting();
}

/** Show these containers: the shape of `GET /v1/containers`. */
export function drawContainers(shape) {
  const there = new Set();
  for (const pod of shape.pods) {
    for (const container of pod.containers) {
      there.add(container.id);
      update(pod, container);
    }
  }
  for (const [id, one] of rows) {
    if (there.has(id)) continue;
    one.row.remove();
    rows.delete(id);
  }
  arrange();
  filter();
}

function update(pod, container) {
  const title = `${pod.namespace}/${pod.name}`;
  const values = {
    pod: title, name: container.name, class: pod.class, kube: pod.kubeQoS, exclusive: container.exclusive ? "yes" : "",
    requested: container.requestedMilli, given: container.givenMilli, cpus: container.cpus,
  };
  let one = rows.get(container.id);
  if (one === undefined) {
    one = makeRow(title);
    rows.set(container.id, one);
  }
  for (const { key, kind } of COLUMNS) {
    if (one.values[key] === values[key]) continue;
    one.cells[key].textContent = kind === "number" ? cpus(values[key]) || "-" : values[key];
  }
  one.values = values;
  one.text = [title, container.name, pod.class, pod.kubeQoS, container.id, container.exclusive ? "exclusive" : ""].join(" ").toLowerCase();
}

function makeRow(title) {
  const cells = { pod: element("a", { href: podAddress(title) }) };
  const row = element("tr", {}, ...COLUMNS.map(({ key, kind }) => {
    if (key === "pod") return element("th", { scope: "row", class: "long" }, cells.pod);
    cells[key] = element("td", { class: kind ?? null });
    return cells[key];
  }));
  return { row, cells, values: {}, text: "" };
}

/** Rows without a number come last, in both directions. */
function compare(one, other) {
  const { key, down } = sorting;
  const [a, b] = [one.values[key], other.values[key]];
  if ((a === null) !== (b === null)) return a === null ? 1 : -1;
  const found = a === null ? 0 : typeof a === "number" ? a - b : order(a, b);
  return (down ? -found : found) || order(one.values.pod, other.values.pod) || order(one.values.name, other.values.name);
}

function arrange() {
  const body = document.getElementById("containers-body");
  const focused = document.activeElement; // moving a row takes the focus from what is in it
  let next = body.firstElementChild;
  for (const { row } of [...rows.values()].sort(compare)) {
    if (row === next) next = next.nextElementSibling;
    else body.insertBefore(row, next);
  }
  if (focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
}

function sortBy(key) {
  sorting = { key, down: sorting.key === key && !sorting.down };
  showSorting();
  arrange();
}

function showSorting() {
  for (const head of document.querySelectorAll("#containers-table th[data-key]")) {
    if (head.dataset.key === sorting.key) head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

function filter() {
  const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { row, text } of rows.values()) {
    const found = words.every((word) => text.includes(word));
    if (row.hidden === found) row.hidden = !found;
    if (found) count += 1;
  }
  const text = words.length ? `${count} of ${plural(rows.size, "container")}` : plural(rows.size, "container");
  const shown = document.getElementById("found");
  if (shown.textContent !== text) shown.textContent = text;
}
