// A pod's page: the shapes of `GET /v1/explain` and `GET /v1/why`.

import { element, fill, list, table } from "./dom.js";
import { cause, plural, shown, time } from "./values.js";

const COLUMNS = ["Field", "Decided", "In the kernel", "Kubelet asked", "Hook", "Reason", "Route", "Since (UTC)"];

/** Show a pod. `explained` and `history` are answers; one that could not be had is {refused: why}. */
export function drawPod(title, explained, history) {
  fill("pod",
    element("p", {}, element("a", { href: "#containers" }, "All containers")),
    element("h1", { id: "pod-title", tabindex: "-1" }, `Pod ${title}`),
    ...(explained.refused ? [element("p", { class: "problem" }, explained.refused)] : described(explained)),
    element("section", { "aria-labelledby": "history-title" },
      element("h2", { id: "history-title" }, "History"),
      ...(history.refused ? [element("p", { class: "quiet" }, history.refused)] : changes(history))));
}

function described(explained) {
  const { pod, containers } = explained;
  return [
    element("p", {}, `Class ${pod.qos || "none"}, Kubernetes QoS ${pod.kubeQoS}, policy ${explained.policy.revision}`),
    explained.errors.length
      ? list("problem", "Error", explained.errors.map((one) => `${one.hook}${one.container ? `, ${one.container}` : ""}: ${one.message}`)) : null,
    explained.wouldChange.length ? list("note", "Would change it:", explained.wouldChange) : null,
    explained.remarks.length ? list("warning", "Remark", explained.remarks) : null,
    ...cpuLines(explained.cpus),
    ...containers.map((one) => cgroup(`Container ${one.name}${one.state === "running" ? "" : ` (${one.state})`}`, one)),
    cgroup("The pod's own cgroup", pod),
  ].filter((child) => child !== null);
}

function cpuLines(cpus) {
  const lines = [
    ...Object.entries(cpus.exclusive).map(([name, its]) => `Exclusive CPUs of ${name}: ${its}`),
    ...(cpus.assigned ? [`Assigned by a scheduler: CPUs ${cpus.assigned}`] : []),
    ...Object.entries(cpus.claimed).map(([name, its]) => `CPUs of ${name} from a DRA driver: ${its}`),
  ];
  return lines.map((line) => element("p", {}, line));
}

function cgroup(heading, its) {
  const rows = [
    ...Object.entries(its.fields).map(([name, field]) => fieldRow(name, field)),
    ...Object.entries(its.observed).map(([name, field]) => fieldRow(name, field)),
    ...Object.entries(its.restart ?? {}).map(([name, field]) => [
      name, shown(field.value), shown(field.now), "", field.hook, `only by a restart: ${field.reason}`, "restart", ""]),
    ...Object.entries(its.untouched).map(([name, field]) => [
      name, "", kernel(field), shown(field.asked, field.unit), "",
      field.reason ? `left alone: ${field.reason}` : "as kubelet asked: no hook decides it", "", ""]),
    ...Object.entries(its.skipped).filter(([name]) => !(name in its.untouched)).map(([name, reason]) => [
      name, "", "", "", "", `left alone: ${reason}`, "", ""]),
  ];
  return element("section", {},
    element("h2", {}, heading),
    its.cgroup ? element("p", { class: "quiet path" }, its.cgroup) : null,
    rows.length ? table(`Fields: ${heading}`, COLUMNS, rows) : element("p", { class: "quiet" }, "Nothing to set."));
}

function fieldRow(name, field) {
  const recorded = field.recorded === null ? "" : field.recorded ? ", recorded" : ", not recorded";
  return [name, shown(field.value, field.unit), kernel(field), shown(field.asked, field.unit), field.hook, field.reason,
    field.route + recorded, field.since ? `${time(field.since)}: ${field.cause}` : ""];
}

/** What the kernel has; words say where it differs from what was decided, not the colour alone. */
function kernel(field) {
  let text = shown(field.kernel, field.unit);
  if (field.effective && field.effective !== field.kernel) text = `${text} (in effect: ${field.effective})`.trim();
  if (field.outer !== undefined && field.outer !== field.kernel) text += ` (its scope: ${shown(field.outer, field.unit)})`;
  if (field.error) text = `${text} ${field.error}`.trim();
  return field.agrees === false ? element("span", { class: "problem" }, text ? `${text}: differs` : "differs") : text;
}

function changes(history) {
  const rows = [...history.changes].reverse().map((change) => [
    time(change.time), change.container || "(pod)", change.field, shown(change.old) || "-", shown(change.new) || "-", cause(change),
    change.hook ? `${change.hook}: ${change.reason}` : change.reason, change.revision]);
  const remarks = [
    history.more ? "Older changes are left out; `koordnri why` has them by field." : "",
    history.problem ? `The history is only in memory, and ends with the daemon: ${history.problem}` : "",
    history.lost ? `${plural(history.lost, "decision")} came too fast to be noted.` : "",
  ].filter(Boolean);
  return [
    rows.length
      ? table("Changes, the newest first", ["Time (UTC)", "Container", "Field", "Old", "New", "Cause", "Reason", "Policy"], rows)
      : element("p", { class: "quiet" }, "No change of this pod is in the history."),
    ...remarks.map((text) => element("p", { class: "warning" }, text)),
  ];
}
