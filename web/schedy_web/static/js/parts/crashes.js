/** Errors of crashed jobs by their text, and the machines on which they crashed. */
import { Link, jobAddress, setQuery } from "../address.js";
import { useAnswer } from "../hooks.js";
import { count } from "../format.js";
import { Panel, Pending } from "./basic.js";
import { html } from "../vendor.js";

const SHOWN = 6;

export function Crashes({ experiment }) {
  const answer = useAnswer(`experiments/${experiment.number}/errors`);
  const { data } = answer;
  if (!data) return answer.error ? html`<${Panel} title="Crashes"><${Pending} answer=${answer} /><//>` : null;
  const [worst] = data.hosts;
  const isOne = worst && data.hosts.length > 1 && worst.crashed > data.looked_at / 2;
  return html`<${Panel} title=${`Crashes: ${count(data.of)}`} actions=${html`<button type="button" class="small"
      onClick=${() => setQuery({ status: ["CRASHED"], page: null })}>show the jobs</button>`}>
    ${isOne ? html`<div class="CRASHED">${worst.crashed} of ${data.looked_at} are from ${worst.host}.</div>` : null}
    <div class="scroll" tabindex="0"><table aria-label="Errors"><tbody>${data.errors.slice(0, SHOWN).map((each) => html`<tr key=${each.error}>
      <td class="number">${count(each.jobs)}</td><td class="wrap">${each.error}</td><td><${Link} to=${jobAddress(experiment, each.example)}>${each.example}<//></td></tr>`)}</tbody></table></div>
    ${data.errors.length > SHOWN ? html`<div class="faint">and ${data.errors.length - SHOWN} other errors</div>` : null}<//>`;
}
