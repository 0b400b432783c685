/** What has happened, newest first. */
import { setQuery } from "../address.js";
import { useAnswer } from "../hooks.js";
import { Command, Notice, Panel, Pending } from "../parts/basic.js";
import { Events } from "../parts/events.js";
import { html } from "../vendor.js";

const KINDS = ["claimed", "reported", "ended", "released", "lost", "refused", "denied", "retried", "cancelled", "kept", "status", "problem"];

export function EventList({ query, address, command, where }) {
  const asked = new URLSearchParams();
  for (const name of ["kind", "worker", "text", "before"]) if (query.get(name)) asked.set(name, query.get(name));
  const answer = useAnswer(`${address}?${asked}`);
  const field = (name) => html`<input type="search" placeholder=${name} aria-label=${name} value=${query.get(name) || ""}
    onInput=${(event) => setQuery({ [name]: event.target.value, before: null })} data-search=${name === "text" ? "" : undefined} />`;
  return html`<${Panel}>
    <div class="row"><label>what <select value=${query.get("kind") || ""} onChange=${(event) => setQuery({ kind: event.target.value, before: null })}>
        <option value="">all</option>${KINDS.map((kind) => html`<option key=${kind} value=${kind}>${kind}</option>`)}</select></label>
      ${field("worker")}${field("text")}<span class="grow"></span><${Command} text=${command} /></div>
    ${answer.data ? html`<${Events} events=${answer.data.events} where=${where} />` : html`<${Pending} answer=${answer} />`}
    ${answer.data && !answer.data.events.length ? html`<${Notice}>Nothing matches, of ${answer.data.looked_at} events looked at.
      <button type="button" onClick=${() => setQuery({ kind: null, worker: null, text: null, before: null })}>Show all</button><//>` : null}
    <div class="row end">${query.get("before") ? html`<button type="button" onClick=${() => setQuery({ before: null })}>newest</button>` : null}
      ${answer.data?.older ? html`<button type="button" onClick=${() => setQuery({ before: answer.data.older }, { replace: false })}>older</button>` : null}</div>
  <//>`;
}

export function Log({ query }) {
  return html`<h1>Log</h1><${EventList} query=${query} address="events" command="schedy log -f" where=${true} />`;
}
