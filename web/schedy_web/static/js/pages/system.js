/** The parts of the installation, and whether they work. */
import { bytes } from "../format.js";
import { useAnswer } from "../hooks.js";
import { Command, Panel, Pending, When } from "../parts/basic.js";
import { DeadLetters } from "../parts/dead.js";
import { html } from "../vendor.js";

function Pairs({ pairs }) {
  return html`<dl class="pairs">${pairs.filter(([, each]) => each !== null && each !== undefined && each !== "")
    .map(([name, each]) => html`<dt key=${name}>${name}</dt><dd>${each}</dd>`)}</dl>`;
}

export function System() {
  const answer = useAnswer("system");
  if (!answer.data) return html`<h1>System</h1><${Pending} answer=${answer} />`;
  const { service, broker, store, schedy, operate } = answer.data;
  return html`<h1>System</h1><div class="grid">
    <${Panel} className="w6" title="Results service"><${Pairs} pairs=${[
      ["state", html`<span class=${service.alive ? "DONE" : "CRASHED"}>${service.alive ? "works" : "does not answer"}</span>`],
      ["instance", service.instance], ["active since", html`<${When} time=${service.active_since} />`],
      ["seen", html`<${When} time=${service.seen_at} />`], ["epoch", service.epoch]]} />
      ${service.alive ? null : html`<p>Running jobs go on and their reports wait in the broker.</p><${Command} text="schedy up" />`}<//>
    <${Panel} className="w6" title="Broker"><${Pairs} pairs=${[["address", broker.address], ["RabbitMQ", broker.version], ["reports waiting", broker.reports_waiting], ["services that take them", broker.services],
      ["dead letters", broker.dead_letters], ["problem", broker.problem]]} />
      ${broker.problem ? html`<${Command} text="schedy doctor" />` : null}<//>
    <${Panel} className="w6" title="Store"><${Pairs} pairs=${[["kind", store.kind], ["address", store.address], ["size", bytes(store.size_bytes)], ["schema", store.revision]]} /><//>
    <${Panel} className="w6" title="These pages"><${Pairs} pairs=${[["Schedy", schedy], ["this link", operate ? "may operate" : "may only watch"]]} />
      <div class="row"><${Command} text="schedy status" /><${Command} text="schedy doctor" /></div><//>
    ${broker.dead_letters ? html`<${DeadLetters} number=${broker.dead_letters} changed=${answer.reload} />` : null}
  </div>`;
}
