/** Keys: none inside fields, none with Ctrl, Alt or Meta; they can be switched off (WCAG 2.1.4). */
import { useRemembered } from "./hooks.js";
import { Dialog } from "./parts/dialog.js";
import { html, useEffect, useState } from "./vendor.js";

const SEQUENCE_MS = 1000;
const handlers = [];
let before = { key: "", at: 0 };
let isOn = true;

document.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("input, textarea, select, dialog");
  if (!isOn || field || event.ctrlKey || event.altKey || event.metaKey) return;
  const pair = Date.now() - before.at < SEQUENCE_MS ? `${before.key} ${event.key}` : "";
  before = { key: event.key, at: Date.now() };
  for (const { current } of [...handlers].reverse()) {
    const action = current[pair] || current[event.key];
    if (action) {
      event.preventDefault();
      action(event);
      return;
    }
  }
});

/** Handle keys while a component is there: `{"g e": action, x: action}`. The newest component wins. */
export function useKeys(actions) {
  const entry = useHolder(actions);
  useEffect(() => {
    handlers.push(entry);
    return () => handlers.splice(handlers.indexOf(entry), 1);
  }, []);
}

function useHolder(actions) {
  const [holder] = useState(() => ({ current: actions }));
  holder.current = actions;
  return holder;
}

const KEYS = [
  ["/", "filter"], ["j k", "next and previous row"], ["x", "select the row; Shift+X from the last one on"], ["Enter", "open"],
  ["c", "compare the selected jobs"], ["[ ]", "previous and next job"], ["g e", "experiments"], ["g w", "workers"],
  ["g l", "log"], ["g s", "system"], ["p", "pause updates"], ["d", "light or dark"], ["?", "this list"], ["Esc", "close"],
];

export function KeysHelp({ close }) {
  const [on, setOn] = useRemembered("keys", true);
  useEffect(() => {
    isOn = on;
  }, [on]);
  return html`<${Dialog} title="Keys" close=${close}>
    <dl class="pairs">${KEYS.map(([key, text]) => html`<dt key=${key}><kbd>${key}</kbd></dt><dd>${text}</dd>`)}</dl>
    <label><input type="checkbox" checked=${on} onChange=${() => setOn(!on)} /> keys are on</label>
  <//>`;
}
