/** Numbers and times as people read them. */
import { now as serverNow } from "./clock.js";

const DIGITS = 5;

/** A value in a cell: numbers with five digits, texts as they are, other JSON as JSON. */
export function value(given, digits = DIGITS) {
  if (given === null || given === undefined) return "";
  if (typeof given === "number") return number(given, digits);
  if (typeof given === "boolean") return given ? "true" : "false";
  return typeof given === "string" ? given : JSON.stringify(given);
}

/** A number with so many significant digits. */
export function number(given, digits = DIGITS) {
  if (Number.isInteger(given) && Math.abs(given) < 1e7) return String(given);
  const size = Math.abs(given);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return given.toExponential(digits - 2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(given.toPrecision(digits)));
}

/** A text of so many characters at most; the last one tells that there are more. */
export function short(text, most) {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}

/** A count with separators: 1,204. */
export function count(given) {
  return given.toLocaleString("en-US");
}

/** A length of time: 41 s, 3 min, 2 h, 5 days. */
export function seconds(given) {
  if (given === null || given === undefined) return "";
  if (given < 9.95) return `${given.toFixed(1)} s`;
  if (given < 99.5) return `${Math.round(given)} s`;
  if (given < 90 * 60) return `${Math.round(given / 60)} min`;
  if (given < 36 * 3600) return `${Math.round(given / 3600)} h`;
  return `${Math.round(given / 86400)} days`;
}

/** How long ago a time was, by the server's clock. */
export function ago(text, now = serverNow()) {
  if (!text) return "";
  const passed = (now - Date.parse(text)) / 1000;
  return passed < 1 ? "now" : `${seconds(Math.max(0, passed))} ago`;
}

/** A time of the day, with the day if it is another one; in the viewer's zone. */
export function clock(text) {
  if (!text) return "";
  const time = new Date(text);
  const day = time.toDateString() === new Date().toDateString() ? "" : `${time.getMonth() + 1}/${time.getDate()} `;
  return day + time.toTimeString().slice(0, 8);
}

/** A size: 2.1 GB. */
export function bytes(given) {
  if (given === null || given === undefined) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = given;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** A word for the shell. */
export function quoted(word) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`;
}

/** A value as `schedy push -p` takes it. */
export function pushWord(given) {
  if (typeof given === "string") {
    let isPlain = true;
    try {
      JSON.parse(given);
      isPlain = false;
    } catch {
      // not JSON: it stands for itself
    }
    return quoted(isPlain ? given : JSON.stringify(given));
  }
  return quoted(JSON.stringify(given));
}

/** The command that pushes the same hyperparameters again. */
export function pushCommand(name, hyperparameters) {
  const words = Object.entries(hyperparameters).map(([key, each]) => `${quoted(key)} ${pushWord(each)}`);
  return `schedy push ${quoted(name)}${words.length ? ` -p ${words.join(" ")}` : ""}`;
}
