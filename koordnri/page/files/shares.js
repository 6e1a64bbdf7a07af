// How cache and memory are divided: the shape of `GET /v1/shares`.

import { element, fill, podLink, table } from "./dom.js";
import { percent, shown } from "./values.js";

export function drawShares(shares) {
  fill("shares-content", ...cache(shares.cache), ...memory(shares.memory));
}

function cache({ offered, problem, groups, use }) {
  if (!offered) return [quiet("Cache and memory bandwidth are not divided: this node has no resctrl.")];
  const rows = groups.map((group) => [
    group.group, group.class || "-", group.pod ? podLink(group.pod) : "(class)", group.schemata.join(" "), group.refused || "exists"]);
  const used = use.map((one) => [one.class, String(one.cache), shown(one.bytes, "bytes")]);
  return [
    problem ? element("p", { class: "problem" }, `No group can be made: ${problem}`) : null,
    rows.length
      ? table("Groups of cache and memory bandwidth", ["Group", "Class", "Of", "Schemata", "State"], rows)
      : quiet("No policy and no pod divides cache or memory bandwidth."),
    used.length ? table("Cache in use", ["Class", "Cache", "Bytes"], used) : null,
  ];
}

function memory({ totalBytes, classes }) {
  if (classes.length === 0) return [quiet("No container runs.")];
  const part = (bytes) => (bytes ? `${shown(bytes, "bytes")}${totalBytes ? `, ${percent(bytes, totalBytes)}` : ""}` : "-");
  const rows = classes.map((one) => [
    one.class, String(one.containers), part(one.minBytes), part(one.lowBytes), part(one.limitBytes), String(one.unlimited)]);
  const title = totalBytes ? `Memory by class, of ${shown(totalBytes, "bytes")}` : "Memory by class";
  return [table(title, ["Class", "Containers", "Kept always (min)", "Kept if possible (low)", "Limits", "Without a limit"], rows)];
}

function quiet(text) {
  return element("p", { class: "quiet" }, text);
}
