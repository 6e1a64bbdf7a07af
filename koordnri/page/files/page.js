// Starts the page: which view is shown, when the daemon is asked, and that changes are followed.

import { drawContainers, startContainers } from "./containers.js";
import { drawMap } from "./map.js";
import { drawPod } from "./pod.js";
import { drawShares } from "./shares.js";
import { drawStatus } from "./status.js";
import { time } from "./values.js";

const POLL_MS = 10000; // between two questions while there is no stream of changes
const PATIENCE_MS = 15000; // for one answer

let asking = null; // the promise of the questions that are under way
let again = false; // something changed since they began
let stream = null;
let still = false; // the page shows a report, in which nothing changes

/** The answer of `GET /v1/NAME`. Throws an Error that says why there is none. */
async function ask(name, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const answer = await fetch(`v1/${name}${query ? `?${query}` : ""}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.ok) return answer.json();
  const text = await answer.text();
  throw answer.headers.get("Content-Type") === "application/json" ? new Refusal(JSON.parse(text).error) : new Error(text.trim());
}

/** The daemon answered that it does not know what was asked for. */
class Refusal extends Error {}

/** The answer, or {refused: why}. */
async function askOrRefusal(name, parameters = {}) {
  try {
    return await ask(name, parameters);
  } catch (error) {
    if (error instanceof Refusal) return { refused: error.message };
    throw error;
  }
}

/** NAMESPACE/NAME of the pod that the address names; "" for the overview. */
function shownPod() {
  const found = /^#\/pod\/([^/]+)\/([^/]+)$/.exec(location.hash);
  if (found === null) return "";
  try {
    return found.slice(1).map(decodeURIComponent).join("/");
  } catch {
    return ""; // not an address that the page made
  }
}

/** Ask and draw; at most one question of a kind is under way. */
function refresh() {
  again = true;
  asking ??= askUntilDone();
  return asking;
}

async function askUntilDone() {
  while (again) {
    again = false;
    try {
      trouble((await draw()).join("; "));
    } catch (error) {
      trouble(`No answer of the daemon (${error.message}). What is shown may be old.`);
    }
  }
  asking = null;
}

/** Ask for what is shown, and draw it. Returns why parts could not be drawn. */
async function draw() {
  const pod = shownPod();
  if (pod) {
    const [explained, history] = await Promise.all([askOrRefusal("explain", { pod }), askOrRefusal("why", { pod })]);
    if (shownPod() === pod) drawPod(pod, explained, history);
    if (document.getElementById("node").textContent === "") drawName(await askOrRefusal("status"));
    return [];
  }
  const answers = await Promise.all(["status", "map", "containers", "shares"].map((name) => askOrRefusal(name)));
  [drawNode, drawMap, drawContainers, drawShares].forEach((drawing, index) => {
    if (!answers[index].refused) drawing(answers[index]);
  });
  return answers.map((answer) => answer.refused).filter(Boolean);
}

function drawNode(status) {
  drawName(status);
  drawStatus(status);
}

/** The node's name in the top line, and whether this is a report. */
function drawName(status) {
  if (status.refused) return;
  document.getElementById("node").textContent = status.node;
  if (!status.report || still) return;
  still = true;
  rest();
  say(`a report of ${time(status.report)} UTC`);
}

function trouble(text) {
  const shown = document.getElementById("trouble");
  if (shown.textContent !== text) shown.textContent = text;
  shown.hidden = text === "";
}

/** Show the view of the address. The focus goes where the reader goes, as with a page of its own. */
async function go() {
  const pod = shownPod();
  document.getElementById("overview").hidden = pod !== "";
  document.getElementById("pod").hidden = pod === "";
  document.title = pod ? `${pod}, koordnri` : "koordnri";
  if (pod) {
    document.getElementById("pod").replaceChildren();
    scrollTo(0, 0);
  }
  await refresh();
  const part = pod ? "pod-title" : location.hash.slice(1);
  const target = part && document.getElementById(part);
  if (target) {
    target.focus({ preventScroll: true });
    if (!pod) target.scrollIntoView();
  }
}

function say(text) {
  const shown = document.getElementById("live");
  if (shown.textContent !== text) shown.textContent = text;
}

/** Follow changes while the page is seen; ask from time to time where the daemon has no stream left. */
function follow() {
  if (document.hidden || still || stream !== null) return;
  stream = new EventSource("v1/changes");
  stream.addEventListener("open", () => {
    if (!still) say("live");
    refresh(); // what changed while there was no stream
  });
  stream.addEventListener("changed", refresh);
  stream.addEventListener("error", () => {
    if (still) return;
    say(stream.readyState === EventSource.CLOSED ? "asks every 10 s" : "connecting");
    refresh(); // so that the reader learns at once when the daemon has gone
  });
}

function rest() {
  if (stream !== null) stream.close();
  stream = null;
}

function poll() {
  if (document.hidden || still || stream?.readyState === EventSource.OPEN) return;
  refresh();
  if (stream?.readyState === EventSource.CLOSED) {
    rest();
    follow();
  }
}

document.addEventListener("visibilitychange", () => (document.hidden ? rest() : follow()));
addEventListener("hashchange", go);
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  document.getElementById("main").focus();
});
startContainers();
go();
follow();
setInterval(poll, POLL_MS);
