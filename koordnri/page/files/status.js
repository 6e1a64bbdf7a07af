// Status, policy and last decisions: the shape of `GET /v1/status`.

import { element, fill, list, podLink, table } from "./dom.js";
import { cause, countCPUs, plural, shown, time } from "./values.js";

const MOST = 100; // violations in the table; one bad share pool may make thousands

/** The parts of the overview that the status has. */
export function drawStatus(status) {
  fill("title", status.node ? `Node ${status.node}` : "Node");
  fill("facts", ...facts(status).flatMap(([name, ...texts]) => [
    element("dt", {}, name), element("dd", {}, ...texts)]));
  fill("findings", ...findings(status));
  drawPolicy(status.policy);
  fill("decisions-content", status.decisions.length
    ? table("The newest first", ["Time (UTC)", "Pod", "Container", "Field", "Old", "New", "Cause"], status.decisions.map(decision).reverse())
    : element("p", { class: "quiet" }, "No decision is in the history."));
}

function facts(status) {
  const { runtime, cpus, counts } = status;
  const down = Object.entries(status.api).filter(([, problem]) => problem).map(([noun, problem]) => `${noun}: ${problem}`);
  const waiting = runtime.unrecorded ? `, ${plural(runtime.unrecorded, "container")} to be recorded` : "";
  const classes = Object.entries(counts).map(([name, count]) => `${name} ${count.pods}/${count.containers}`);
  const sets = Object.entries(cpus).filter(([, text]) => text).map(([name, text]) => `${name} ${countCPUs(text)}`);
  return [
    ["koordnri", `${status.version}: `, element("strong", { class: status.ready ? "good" : "problem" }, status.ready ? "ready" : "not ready")],
    ["Runtime", `${[runtime.name, runtime.version].filter(Boolean).join(" ") || "none"}${runtime.nri ? `, NRI ${runtime.nri}` : ""}: ${runtime.state}`],
    ["Recording", `route ${runtime.recordRoute}${waiting}`],
    ["Policy", `revision ${status.policy.revision} since ${time(status.policy.since)}`],
    ["API server", Object.keys(status.api).length === 0 ? "not used" : down.join("; ") || "connected"],
    ["Pods/containers", classes.join(", ") || "none"],
    ["CPUs", sets.join(", ") || "not known"],
    ...(status.released.everything ? [["Released", `everything, ${status.released.until}`]] : []),
    ...(status.released.pods.length ? [["Released pods", `${status.released.pods.join(", ")}, ${status.released.until}`]] : []),
  ];
}

function findings(status) {
  const violations = status.violations.slice(0, MOST).map((found) => [
    found.kind, found.pod ? podLink(found.pod) : "(node)", found.container, found.message]);
  const none = violations.length + status.problems.length + status.warnings.length === 0;
  return [
    status.problems.length ? list("problem", "Problem", status.problems) : null,
    violations.length ? table("Violations", ["Kind", "Pod", "Container", "What"], violations) : null,
    status.violations.length > MOST
      ? element("p", { class: "problem" }, `and ${status.violations.length - MOST} more; \`koordnri status -o json\` has all`) : null,
    status.warnings.length ? list("warning", "Warning", status.warnings) : null,
    none ? element("p", { class: "good" }, "No violations, no problems, no warnings.") : null,
  ];
}

function drawPolicy(policy) {
  const refused = policy.refused;
  fill("policy-content",
    element("p", {}, `Revision ${policy.revision} is in force since ${time(policy.since)} UTC${policy.source ? `, from ${policy.source}` : ""}.`),
    refused === null ? null : element("p", { class: "problem" },
      `A newer policy from ${refused.source} was refused at ${time(refused.since)} UTC; the one above stays in force.`),
    refused === null ? null : table("Mistakes of the refused policy", ["Where", "Mistake"],
      refused.mistakes.map((mistake) => [mistake.path || "(the whole)", mistake.message])),
    policy.warnings.length ? list("warning", "Warning", policy.warnings.map(String)) : element("p", { class: "quiet" }, "No warnings."),
    ...former(policy.former ?? null));
}

/** What the policy before had otherwise. A report of an older koordnri does not say it. */
function former(before) {
  if (before === null) return [element("p", { class: "quiet" }, "No other policy was in force since koordnri started.")];
  const title = `Changes since revision ${before.revision}, which was in force until ${time(before.until)} UTC`;
  return [
    before.changes.length
      ? table(title, ["Key", "Before", "Now"], before.changes.map((change) => [change.path, change.old, change.new]))
      : element("p", {}, `${title}: none that concerns this node.`),
    before.more ? element("p", {}, `and ${before.more} more keys.`) : null,
  ];
}

function decision(change) {
  const pod = change.pod ? podLink(`${change.namespace}/${change.pod}`) : `(${change.class})`;
  return [time(change.time), pod, change.container, change.field, shown(change.old) || "-", shown(change.new) || "-", cause(change)];
}
