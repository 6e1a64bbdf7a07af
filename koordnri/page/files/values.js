// Values as people read them. No value is computed here.

const BYTES = ["KiB", "MiB", "GiB", "TiB"];

/** A field's value with its unit; "" for none. */
export function shown(value, unit = "") {
  if (value === null || value === undefined || value === "") return "";
  if (unit === "bytes" && typeof value === "number" && value >= 1024) return `${bytes(value)} (${value})`;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return unit && typeof value === "number" ? `${text} ${unit}` : text;
}

function bytes(value) {
  let index = -1;
  while (value >= 1024 && index < BYTES.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${BYTES[index]}`;
}

/** A part of a whole. */
export function percent(part, whole) {
  return `${Math.round((100 * part) / whole)} %`;
}

/** Thousandths of a CPU as CPUs. */
export function cpus(milli) {
  return milli === null ? "" : String(milli / 1000);
}

/** A time of the daemon (UTC) for a table. */
export function time(text) {
  return text ? text.replace("T", " ").replace(/(\.\d+)?Z$/, "") : "";
}

/** The cause of a change, with more about it. */
export function cause(change) {
  return change.detail ? `${change.cause}: ${change.detail}` : change.cause;
}

/** How many: "1 CPU", "2 CPUs". */
export function plural(count, name) {
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

/** The number of CPUs in a list such as "0-3,8". */
export function countCPUs(text) {
  return text.split(",").filter(Boolean).reduce((sum, part) => {
    const [first, last = first] = part.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
}

/** Numbers of CPUs as a list such as "0-3,8". */
export function ranges(numbers) {
  const parts = [];
  for (const number of [...numbers].sort((one, other) => one - other)) {
    const last = parts.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else parts.push([number, number]);
  }
  return parts.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}
