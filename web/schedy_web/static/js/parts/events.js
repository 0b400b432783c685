/** Events as a table. */
import { Link, experimentAddress, jobAddress } from "../address.js";
import { clock, value } from "../format.js";
import { html } from "../vendor.js";

const BAD = new Set(["lost", "refused", "crashed", "denied", "expired", "search"]);

function kept(results) {
  return results ? ` kept: ${Object.entries(results).map(([name, each]) => `${name} ${value(each)}`).join(", ")}` : "";
}

function place(event) {
  const { experiment, job } = event;
  if (!experiment) return "";
  if (experiment.number === null || experiment.number === undefined) return job ? `${experiment.name}/${job}` : experiment.name;
  const text = job ? `${experiment.name}/${job}` : experiment.name;
  return html`<${Link} to=${job ? jobAddress(experiment, job) : experimentAddress(experiment)}>${text}<//>`;
}

export function Events({ events, where = true }) {
  return html`<div class="scroll" tabindex="0"><table aria-label="Events"><thead><tr><th scope="col">time</th>${where ? html`<th scope="col">job</th>` : null}
      <th scope="col">what</th><th scope="col" class="number narrow-hide">attempt</th><th scope="col" class="narrow-hide">worker</th><th scope="col">detail</th></tr></thead>
    <tbody>${events.map((event) => html`<tr key=${event.position}>
      <td class="mono" title=${event.at}>${clock(event.at)}</td>${where ? html`<td>${place(event)}</td>` : null}
      <td class=${BAD.has(event.kind) || event.detail.startsWith("CRASHED") ? "CRASHED" : ""}>${event.kind}${event.times > 1 ? html` <span class="faint">×${event.times}</span>` : null}</td>
      <td class="number narrow-hide">${event.attempt ?? ""}</td><td class="faint narrow-hide">${event.worker || ""}</td>
      <td class="wrap">${event.detail}${kept(event.results)}</td></tr>`)}</tbody></table></div>`;
}
