/** The HTTP API: answers kept by their tags, and the pulse that tells when to ask again. */
import { learn } from "./clock.js";

export const prefix = document.querySelector('meta[name="prefix"]').content;

const PULSE_MS = 1000;
const LONGEST_PAUSE_MS = 8000;
const EARLY_MS = 1000;

/** @type {Map<string, {tag: string, data: any}>} */
const kept = new Map();
const MOST_KEPT = 60;

/** An error of the server, or of the way to it (`status` 0). */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function problemOf(response) {
  let error = {};
  try {
    error = (await response.json()).error || {};
  } catch {
    // no JSON: something between us and the server has answered
  }
  return new ApiError(response.status, error.code || "unknown", error.message || `The server answered ${response.status}.`);
}

/** Return the last answer of an address, if there is one. */
export function known(address) {
  return kept.get(address)?.data;
}

/** Requests that were sent before anything asked for their answers, until shortly after these have come. */
const early = new Map();

/** Ask for addresses that will be needed, so that they do not wait for one another. */
export function prefetch(addresses) {
  for (const address of addresses) {
    const asked = get(address);
    const forget = () => setTimeout(() => early.delete(address), EARLY_MS);
    asked.then(forget, forget); // who needs it gets the error
    early.set(address, asked);
  }
}

/** Ask for an address below /api/v1/. The same object is returned while the answer is the same. */
export async function get(address, { signal } = {}) {
  if (early.has(address)) return early.get(address);
  const before = kept.get(address);
  const headers = before ? { "If-None-Match": before.tag } : {};
  const sent = Date.now();
  let response;
  try {
    response = await fetch(`${prefix}/api/v1/${address}`, { headers, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "offline", "The server of these pages does not answer.");
  }
  learn(response.headers.get("Date"), sent);
  if (response.status === 304 && before) return before.data;
  if (!response.ok) throw await problemOf(response);
  const data = await response.json();
  kept.delete(address);
  kept.set(address, { tag: response.headers.get("ETag") || "", data });
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
  return data;
}

/** Return an id for a change: a change that is sent twice is made once. */
export function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Make a change. Returns the answer, `{stored: false, message}` where only the broker has the change yet. */
export async function send(method, address, body) {
  const headers = { "Content-Type": "application/json", "X-Schedy": "1" };
  let response;
  try {
    response = await fetch(`${prefix}/api/v1/${address}`, {
      method, headers, body: JSON.stringify({ request_id: requestId(), ...body }), credentials: "same-origin",
    });
  } catch {
    throw new ApiError(0, "offline", "The server of these pages does not answer. Nothing is known of the change.");
  }
  if (!response.ok) throw await problemOf(response);
  const answer = await response.json();
  pulse.set({ changes: pulse.state.changes + 1 });
  pulse.soon();
  return answer;
}

/** Asks each second, or as seldom as the server wishes when many look, for what has happened, while the tab is visible and nobody has paused. */
class Pulse {
  constructor() {
    this.state = { data: null, error: null, since: null, changes: 0, paused: localStorage.getItem("schedy.paused") === "1" };
    this.listeners = new Set();
    this.timer = null;
    this.pause = PULSE_MS;
    document.addEventListener("visibilitychange", () => this.soon());
  }

  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  set(changes) {
    this.state = { ...this.state, ...changes };
    for (const listener of [...this.listeners]) listener(this.state);
  }

  setPaused(paused) {
    localStorage.setItem("schedy.paused", paused ? "1" : "0");
    this.set({ paused });
    this.soon();
  }

  soon() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    this.timer = setTimeout(() => this.beat(), 0);
  }

  async beat() {
    try {
      const data = await get("pulse");
      this.pause = data.ask_again_seconds * 1000;
      if (data !== this.state.data || this.state.error) this.set({ data, error: null, since: null });
    } catch (error) {
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE_MS);
      this.set({ error, since: this.state.since || new Date() });
    }
    clearTimeout(this.timer);
    const stays = document.hidden || this.state.paused || this.state.error?.status === 401;
    if (!stays) this.timer = setTimeout(() => this.beat(), this.pause * (0.9 + 0.2 * Math.random()));
  }
}

export const pulse = new Pulse();
