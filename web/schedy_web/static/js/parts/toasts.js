/** What happened to a change, in a corner for some seconds. */
import { html, useEffect, useState } from "../vendor.js";
import { Notice } from "./basic.js";

const SHOWN_MS = 8000;
const listeners = new Set();
let shown = [];
let last = 0;

function update(next) {
  shown = next;
  for (const listener of listeners) listener(shown);
}

/** Say what happened; `action` is `{label, run}`, an undo for instance. */
export function say(text, { kind = "info", action = null } = {}) {
  const id = (last += 1);
  update([...shown.slice(-3), { id, text, kind, action }]);
  setTimeout(() => update(shown.filter((each) => each.id !== id)), kind === "error" ? 2 * SHOWN_MS : SHOWN_MS);
}

export function Toasts() {
  const [list, setList] = useState(shown);
  useEffect(() => {
    listeners.add(setList);
    return () => listeners.delete(setList);
  }, []);
  const run = (each) => {
    update(shown.filter((other) => other.id !== each.id));
    each.action.run();
  };
  return html`<div class="toasts" role="status" aria-live="polite">${list.map((each) => html`
    <${Notice} key=${each.id} kind=${each.kind}><span>${each.text}</span>
      ${each.action ? html`<button type="button" class="small" onClick=${() => run(each)}>${each.action.label}</button>` : null}<//>`)}</div>`;
}
