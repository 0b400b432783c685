/** What may be done with the selected jobs. */
import { experimentAddress, go } from "../address.js";
import { usePulse } from "../hooks.js";
import { useKeys } from "../keys.js";
import { Dialog } from "../parts/dialog.js";
import { CopyButton } from "../parts/basic.js";
import { say } from "../parts/toasts.js";
import { count, quoted } from "../format.js";
import { html, useState } from "../vendor.js";
import { make, useWork } from "./change.js";

const ASK_FROM = 10;
const TYPE_FROM = 100;
const MOST_CHANGED = 20000;
const FINAL = ["DONE", "PRUNED", "CRASHED"];
const POSSIBLE = { cancel: ["QUEUED", "RUNNING"], retry: FINAL, remove: ["QUEUED", "RUNNING", ...FINAL] };
const WORDS = { cancel: "cancelled", retry: "queued again", remove: "removed" };

function tell(verb, outcomes) {
  const changed = outcomes.filter((each) => each.changed).length;
  const rest = outcomes.filter((each) => !each.changed);
  const reasons = [...new Set(rest.map((each) => each.detail))].slice(0, 3).join(" ");
  say(`${count(changed)} ${changed === 1 ? "job was" : "jobs were"} ${WORDS[verb]}.${rest.length ? ` ${count(rest.length)} not: ${reasons}` : ""}`, { kind: rest.length ? "warn" : "info" });
}

function Ask({ verb, number, run, close, isBusy }) {
  const [text, setText] = useState("");
  const mustType = verb === "remove" && number >= TYPE_FROM;
  return html`<${Dialog} title=${`${verb[0].toUpperCase()}${verb.slice(1)} ${count(number)} ${number === 1 ? "job" : "jobs"}?`} close=${close}>
    ${verb === "remove" ? html`<p>Their results and events are deleted.</p>` : null}
    ${mustType ? html`<label>Write ${number} <input value=${text} onInput=${(event) => setText(event.target.value)} /></label>` : null}
    <div class="row"><button type="button" class=${verb === "remove" ? "danger" : "main"} disabled=${isBusy || (mustType && text !== String(number))} onClick=${run}>${verb}</button></div><//>`;
}

/** What a change is about: the selected jobs, or all that match the conditions of the view. */
function subjectOf(ids, query, total) {
  if (ids.length) return { number: ids.length, text: `${count(ids.length)} selected`, body: { ids } };
  const [where, status] = [query.getAll("where"), query.getAll("status")];
  if (!total || total > MOST_CHANGED || !(where.length || status.length)) return { number: 0, text: "none selected", body: null };
  return { number: total, text: `all ${count(total)} that match`, body: { where, status, expect: total } };
}

/** `status`: of the one job that this is about, so that only what is possible is offered. */
export function JobActions({ experiment, ids, query, total = 0, clear = null, status = null }) {
  const { data: beat } = usePulse();
  const [isBusy, run] = useWork();
  const [asked, setAsked] = useState(null);
  const { number, text, body } = subjectOf(ids, query, total);
  const compare = () => ids.length > 1 && go(`${experimentAddress(experiment)}/compare?ids=${ids.slice(0, 20).join(",")}`);
  useKeys({ c: compare });
  const change = (verb) => run(async () => {
    const answer = await make("POST", `experiments/${experiment.number}/jobs/${verb}`, body);
    if (answer.outcomes) tell(verb, answer.outcomes);
    setAsked(null);
    clear?.();
  });
  const press = (verb) => (verb === "remove" || number >= ASK_FROM ? setAsked(verb) : change(verb));
  const button = (verb, label, className = "") => html`<button type="button" class=${`small ${className}`} disabled=${!number || isBusy || (status !== null && !POSSIBLE[verb].includes(status))}
    title=${`schedy ${verb === "remove" ? "rm" : verb} ${experiment.name} JOB...`} onClick=${() => press(verb)}>${label}</button>`;
  return html`<div class="row actions">${clear ? html`<span class="faint">${text}</span>
      <button type="button" class="small" disabled=${ids.length < 2} onClick=${compare}>Compare</button>` : null}
    ${beat?.operate ? html`${button("cancel", "Cancel")}${button("retry", "Retry")}${button("remove", "Remove", "danger")}` : null}
    ${ids.length && clear ? html`<${CopyButton} text=${`schedy cancel ${quoted(experiment.name)} ${ids.join(" ")}`} label="copy cancel" />
      <button type="button" class="small" onClick=${clear}>Select none</button>` : null}
    ${asked ? html`<${Ask} verb=${asked} number=${number} isBusy=${isBusy} run=${() => change(asked)} close=${() => setAsked(null)} />` : null}</div>`;
}
