/** Messages that could not be processed, and what may be done with them. */
import { make, useWork } from "../actions/change.js";
import { clock, count } from "../format.js";
import { useAnswer, usePulse } from "../hooks.js";
import { html, useState } from "../vendor.js";
import { Command, Panel, Pending } from "./basic.js";
import { Dialog } from "./dialog.js";
import { say } from "./toasts.js";

export function DeadLetters({ number, changed }) {
  const answer = useAnswer("system/dead");
  const { data: beat } = usePulse();
  const [isBusy, run] = useWork();
  const [asks, setAsks] = useState(false);
  const settle = (fate) => run(async () => {
    const numbers = answer.data.letters.map((each) => each.number);
    const { outcomes } = await make("POST", `system/dead/${fate}`, { numbers });
    if (outcomes) say([...new Set(outcomes.map((each) => each.detail))].map((detail) => `${count(outcomes.filter((each) => each.detail === detail).length)} ${detail}`).join("; ") || "There were none.");
    setAsks(false);
    answer.reload();
    changed();
  });
  return html`<${Panel} className="w12" title=${`Dead letters: ${count(number)}`} actions=${html`<${Command} text="schedy dead -v" />
      ${beat?.operate && answer.data?.letters.length ? html`<button type="button" class="small" disabled=${isBusy} title="schedy dead replay 1 2 ..." onClick=${() => settle("replay")}>Put these back</button>
        <button type="button" class="small danger" title="schedy dead drop 1 2 ..." onClick=${() => setAsks(true)}>Drop these</button>` : null}`}>
    <p class="faint">Messages that the results service could not process. Once the cause is gone, put them back.</p>
    ${answer.data ? html`<div class="scroll" tabindex="0"><table><thead><tr><th>number</th><th>at</th><th>kind</th><th>user</th><th>reason</th><th>body</th></tr></thead>
      <tbody>${answer.data.letters.map((each) => html`<tr key=${each.number}><td class="number">${each.number}</td><td>${clock(each.at)}</td><td>${each.kind || each.routing_key}</td>
        <td>${each.user}</td><td class="wrap">${each.reason}</td><td class="mono" title=${each.body}>${each.body}</td></tr>`)}</tbody></table></div>` : html`<${Pending} answer=${answer} />`}
    ${asks ? html`<${Dialog} title="Drop these dead letters?" close=${() => setAsks(false)}><p>What they say is lost.</p>
      <div class="row"><button type="button" class="danger" disabled=${isBusy} onClick=${() => settle("drop")}>Drop</button></div><//>` : null}<//>`;
}
