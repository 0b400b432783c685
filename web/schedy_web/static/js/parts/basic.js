/** Small parts of all pages. */
import { html, useState } from "../vendor.js";
import { ago, clock, count } from "../format.js";

export const STATUSES = ["DONE", "PRUNED", "CRASHED", "RUNNING", "QUEUED"];
const SIGNS = { DONE: "✓", PRUNED: "✂", CRASHED: "✗", RUNNING: "▶", QUEUED: "…" };

/** A status by word, sign and colour. */
export function Status({ status, stop }) {
  return html`<span class=${`status ${status}`}><span aria-hidden="true">${SIGNS[status] || "·"} </span>${status}${
    stop && status === "RUNNING" ? html`<span class="faint"> stopping</span>` : ""}</span>`;
}

/** The jobs of each status as a bar, and its numbers in words. */
export function Bar({ counts, of }) {
  const total = Math.max(of || 0, STATUSES.reduce((sum, status) => sum + counts[status], 0)) || 1;
  const words = STATUSES.filter((status) => counts[status]).map((status) => `${status} ${count(counts[status])}`);
  return html`<div class="bar" role="img" aria-label=${words.join(", ") || "no jobs"} title=${words.join("  ") || "no jobs"}>
    ${STATUSES.map((status) => counts[status]
      ? html`<span key=${status} class=${`fill ${status}`} style=${{ width: `${(100 * counts[status]) / total}%` }}></span>` : null)}
  </div>`;
}

/** Copy a text; without a clipboard (plain http) by a selection. */
export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** A button that copies. */
export function CopyButton({ text, label = "copy", title }) {
  const [done, setDone] = useState(false);
  const click = async () => {
    await copy(text);
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" class="small" title=${title || text} onClick=${click}>${done ? "copied" : label}</button>`;
}

/** A command of the terminal, to copy. */
export function Command({ text }) {
  return html`<span class="command"><code tabindex="0">${text}</code><${CopyButton} text=${text} /></span>`;
}

/** A time as "2 min ago", the whole of it on hover. */
export function When({ time }) {
  return time ? html`<time datetime=${time} title=${`${clock(time)} (${time})`}>${ago(time)}</time>` : html`<span class="faint">-</span>`;
}

/** A box with a heading; `id` names it for those who do not see it. */
export function Panel({ title, children, actions, className = "" }) {
  return html`<section class=${`panel ${className}`} aria-label=${typeof title === "string" ? title : undefined}>
    ${title ? html`<header><h2>${title}</h2>${actions ? html`<div class="actions">${actions}</div>` : null}</header>` : null}
    ${children}
  </section>`;
}

/** What a view says when there is nothing, or something went wrong. */
export function Notice({ kind = "info", children }) {
  return html`<div class=${`notice ${kind}`} role=${kind === "error" ? "alert" : undefined}>${children}</div>`;
}

/** An answer that is not there: the error, or that it is on its way. */
export function Pending({ answer }) {
  if (answer.error) return html`<${Notice} kind="error">${answer.error.message}<//>`;
  return html`<div class="faint pending">loading …</div>`;
}
