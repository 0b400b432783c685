/** Pause, resume, finish, push, remove: what may be done with an experiment. */
import { go } from "../address.js";
import { usePulse } from "../hooks.js";
import { Dialog } from "../parts/dialog.js";
import { CopyButton } from "../parts/basic.js";
import { quoted } from "../format.js";
import { html, useState } from "../vendor.js";
import { make, useWork } from "./change.js";
import { PushButton } from "./push.js";

const MORE = 20;

function Remove({ experiment, close }) {
  const [name, setName] = useState("");
  const [isBusy, run] = useWork();
  const remove = async () => {
    const done = await run(() => make("DELETE", `experiments/${experiment.number}`, { name }, `${experiment.name} was removed.`));
    if (done) go("/");
  };
  return html`<${Dialog} title=${`Remove ${experiment.name}`} close=${close}>
    <p>All its jobs, results and events are deleted. Write its name to go on.</p>
    <input aria-label="Name of the experiment" value=${name} onInput=${(event) => setName(event.target.value)} />
    <div class="row"><button type="button" class="danger" disabled=${isBusy || name !== experiment.name} onClick=${remove}>Remove</button>
      <span class="faint">or <code>schedy rm ${quoted(experiment.name)}</code></span></div><//>`;
}

export function ExperimentActions({ experiment }) {
  const { data: beat } = usePulse();
  const [isBusy, run] = useWork();
  const [removes, setRemoves] = useState(false);
  if (!beat?.operate) return html`<${CopyButton} text=${`schedy ${experiment.paused ? "resume" : "pause"} ${quoted(experiment.name)}`} label=${`copy ${experiment.paused ? "resume" : "pause"}`} />`;
  const isUsedUp = experiment.done && experiment.max_jobs !== null && experiment.made >= experiment.max_jobs;
  const address = `experiments/${experiment.number}`;
  const change = (body, done, undo) => run(() => make("PATCH", address, body, done, undo && { label: "undo", run: () => make("PATCH", address, undo, "Undone.") }));
  return html`<div class="row actions">
    ${isUsedUp ? html`<button type="button" disabled=${isBusy} title=${`schedy set ${experiment.name} --max-jobs +${MORE}`}
      onClick=${() => change({ settings: { max_jobs: experiment.max_jobs + MORE } }, `${experiment.name} makes ${MORE} jobs more.`, { settings: { max_jobs: experiment.max_jobs } })}>+${MORE} jobs</button>` : experiment.done ? html`<button type="button" disabled=${isBusy} title=${`schedy set ${experiment.name} -s RUNNING`} onClick=${() => change({ status: "RUNNING" }, `${experiment.name} goes on.`)}>Go on</button>`
      : html`<button type="button" disabled=${isBusy} title=${`schedy ${experiment.paused ? "resume" : "pause"} ${experiment.name}`}
          onClick=${() => change({ paused: !experiment.paused }, `${experiment.name} is ${experiment.paused ? "resumed" : "paused"}.`, { paused: experiment.paused })}>${experiment.paused ? "Resume" : "Pause"}</button>
        <button type="button" disabled=${isBusy} title=${`schedy set ${experiment.name} -s DONE`} onClick=${() => change({ status: "DONE" }, `${experiment.name} is DONE: no more jobs are started.`, { status: "RUNNING" })}>Finish</button>`}
    <${PushButton} experiment=${experiment} />
    <button type="button" class="danger" onClick=${() => setRemoves(true)}>Remove</button>
    ${removes ? html`<${Remove} experiment=${experiment} close=${() => setRemoves(false)} />` : null}</div>`;
}
