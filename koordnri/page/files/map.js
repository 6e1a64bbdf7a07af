// The node's CPUs: the shape of `GET /v1/map`, drawn as `koordnri map` draws it.

import { element, fill, podLink, table } from "./dom.js";
import { countCPUs, plural, ranges } from "./values.js";

/** State of a CPU → its mark and meaning, as in `koordnri map`. A CPU with one owner has the owner's letter. */
export const STATES = {
  "several": ["!", "exclusive to more than one owner"],
  "shared": [".", "shared by containers without exclusive CPUs"],
  "reserved": ["#", "reserved for the system"],
  "system": ["%", "for SYSTEM pods only"],
  "kubelet": ["@", "pinned by kubelet for a container that is not known"],
  "isolated": ["=", "isolated from the kernel's scheduler"],
  "unused": ["_", "no pod may run there"],
  "offline": ["-", "offline; the kernel does not say where it is"]
};
const COLOURS = 12;

let drawn = ""; // the places that the picture was made for
let cells = new Map(); // CPU → its element
let legend = "";

/** Draw a map. Cells are made again only when the node's CPUs are others. */
export function drawMap(shape) {
  const places = JSON.stringify(shape.cpus.map((cpu) => [cpu.socket, cpu.numa, cpu.l3, cpu.core, cpu.cpu]));
  if (places !== drawn) {
    makePicture(shape.cpus);
    drawn = places;
  }
  for (const cpu of shape.cpus) mark(cells.get(cpu.cpu), cpu, shape.owners);
  describe(shape);
  const now = JSON.stringify([shape.owners, shape.sets, shape.pools, shape.emptyPools]);
  if (now !== legend) drawLegend(shape);
  legend = now;
}

function makePicture(cpus) {
  cells = new Map();
  document.getElementById("map-picture").replaceChildren(...grouped(cpus, "socket", "numa").map((ofNode) => {
    const title = `socket ${ofNode[0].socket}, NUMA node ${ofNode[0].numa}`;
    const caches = grouped(ofNode, "l3").map((ofCache) => element("div", { class: "cache" },
      element("span", { class: "quiet" }, `L3 ${ofCache[0].l3}: ${ranges(ofCache.map((cpu) => cpu.cpu))}`),
      element("div", { class: "cores" }, ...grouped(ofCache, "core").map((core) =>
        element("div", { class: "core" }, ...core.map(makeCell))))));
    return element("div", { class: "numa" },
      element("h3", {}, title),
      element("div", { class: "caches", role: "img", "data-node": `${ofNode[0].socket}/${ofNode[0].numa}` }, ...caches));
  }));
}

function makeCell(cpu) {
  const cell = element("span");
  cells.set(cpu.cpu, cell);
  return cell;
}

function mark(cell, cpu, owners) {
  const owned = cpu.state === "owned";
  const letter = owned ? owners[cpu.owners[0]].letter : STATES[cpu.state][0];
  const kind = owned ? ownerClass(cpu.owners[0]) : cpu.state;
  const whose = cpu.owners.map((index) => who(owners[index])).join(" and ") || STATES[cpu.state][1];
  const title = `CPU ${cpu.cpu}, core ${cpu.core}: ${whose}`;
  if (cell.textContent !== letter) cell.textContent = letter;
  if (cell.className !== `cpu ${kind}`) cell.className = `cpu ${kind}`;
  if (cell.title !== title) cell.title = title;
}

/** What a screen reader says of each NUMA node; the tables below have the rest. */
function describe(shape) {
  for (const ofNode of grouped(shape.cpus, "socket", "numa")) {
    const picture = document.querySelector(`[data-node="${ofNode[0].socket}/${ofNode[0].numa}"]`);
    picture.setAttribute("aria-label", `${plural(ofNode.length, "CPU")}: ${counts(ofNode.map((cpu) => cpu.state))}`);
  }
  const states = shape.cpus.map((cpu) => cpu.state);
  const offline = countCPUs(shape.sets.offline);
  const different = (key) => new Set(shape.cpus.map((cpu) => cpu[key])).size;
  const text = shape.cpus.length === 0 ? "The node's CPU topology is not known." : [
    plural(different("socket"), "socket"), plural(different("numa"), "NUMA node"), plural(different("l3"), "L3 cache"),
    plural(different("core"), "core"), plural(shape.cpus.length, "CPU"),
  ].join(", ") + `: ${counts(states)}${offline ? `, ${offline} offline` : ""}`;
  fill("map-summary", text);
}

function counts(states) {
  const found = ["owned", ...Object.keys(STATES)].map((state) => [state, states.filter((one) => one === state).length]);
  return found.filter(([, count]) => count).map(([state, count]) => `${count} ${state}`).join(", ");
}

function drawLegend(shape) {
  const owners = shape.owners.map((owner, index) => [
    element("span", { class: `cpu ${ownerClass(index)}` }, owner.letter),
    owner.pod.includes("/") ? podLink(owner.pod) : owner.pod,
    owner.container || "(pod)", owner.class, owner.cpus, owner.coming, owner.by]);
  const states = Object.entries(STATES).filter(([state]) => shape.sets[state]).map(([state, [sign, meaning]]) => [
    element("span", { class: `cpu ${state}` }, sign), meaning, String(countCPUs(shape.sets[state])), shape.sets[state]]);
  const pools = shape.pools.map((pool) => [
    pool.class, String(pool.socket), String(pool.node), String(countCPUs(pool.cpus)), pool.cpus]);
  fill("map-owners", owners.length
    ? table("Owners of exclusive CPUs", ["Mark", "Pod", "Container", "Class", "CPUs", "Coming", "Given by"], owners, "marks")
    : element("p", { class: "quiet" }, "Nobody has exclusive CPUs."));
  fill("map-states", states.length ? table("Other CPUs", ["Mark", "Meaning", "Number", "CPUs"], states, "marks") : null);
  fill("map-pools",
    pools.length
      ? table("Share pools", ["Class", "Socket", "NUMA node", "Number", "CPUs"], pools)
      : element("p", { class: "quiet" }, "No share pools: nothing is taken, so all containers may use all shared CPUs."),
    ...shape.emptyPools.map((name) =>
      element("p", { class: "problem" }, `The share pool of ${name} would be empty: it uses CPUs that are taken.`)));
}

function ownerClass(index) {
  return `owner owner-${index % COLOURS}`;
}

function who(owner) {
  return `${owner.pod} ${owner.container || "(pod)"}`;
}

/** Lists of CPUs with the same keys, in the order in which they come. */
function grouped(cpus, ...keys) {
  const groups = new Map();
  for (const cpu of cpus) {
    const key = keys.map((name) => cpu[name]).join("/");
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(cpu);
  }
  return [...groups.values()];
}
