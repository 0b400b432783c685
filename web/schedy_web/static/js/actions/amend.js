/** Change results and quality of a job that has ended. */
import { usePulse } from "../hooks.js";
import { Dialog } from "../parts/dialog.js";
import { value } from "../format.js";
import { html, useState } from "../vendor.js";
import { make, useWork } from "./change.js";
import { typed } from "./push.js";

const textsOf = (job) => Object.fromEntries(Object.entries(job.results).map(([name, each]) => [name, JSON.stringify(each)]));

function Form({ experiment, job, close }) {
  const [texts, setTexts] = useState(textsOf(job));
  const [added, setAdded] = useState("");
  const [quality, setQuality] = useState(String(job.quality));
  const [isBusy, run] = useWork();
  const hasQuality = !experiment.objectives.length; // else it is the objective
  const before = textsOf(job);
  // Only what was changed: the rest stays as it is stored, also numbers that JavaScript cannot hold.
  const touched = Object.entries(texts).filter(([name, text]) => text !== before[name]);
  const results = Object.fromEntries(touched.filter(([, text]) => text !== "").map(([name, text]) => [name, typed(text)]));
  const remove = touched.filter(([, text]) => text === "").map(([name]) => name);
  const differs = touched.length > 0 || quality !== String(job.quality);
  const change = async (event) => {
    event.preventDefault();
    const body = { results, remove, revision: job.revision, ...(hasQuality ? { quality: Number(quality) } : {}) };
    if (await run(() => make("PATCH", `experiments/${experiment.number}/jobs/${job.id}`, body, `The results of ${job.id} were changed.`))) close();
  };
  return html`<${Dialog} title=${`Results of ${job.id}`} close=${close}><form onSubmit=${change}>
    ${Object.keys(texts).map((name) => html`<label key=${name}>${name}
      <input class="mono" value=${texts[name]} placeholder="removed" title=${`before: ${value(job.results[name])}`} onInput=${(event) => setTexts({ ...texts, [name]: event.target.value })} /></label>`)}
    ${hasQuality ? html`<label>quality <input class="mono" type="number" step="any" value=${quality} onInput=${(event) => setQuality(event.target.value)} /></label>` : null}
    <div class="row"><input aria-label="Name of another result" placeholder="another result" value=${added} onInput=${(event) => setAdded(event.target.value)} />
      <button type="button" class="small" disabled=${!added || added in texts} onClick=${() => { setTexts({ ...texts, [added]: "0" }); setAdded(""); }}>Add result</button></div>
    <div class="row"><button type="submit" class="main" disabled=${isBusy || !differs}>Change</button>
      <span class="faint">refused if somebody has changed them meanwhile</span></div></form><//>`;
}

export function AmendButton({ experiment, job }) {
  const { data: beat } = usePulse();
  const [open, setOpen] = useState(false);
  if (!beat?.operate || job.status === "QUEUED" || job.status === "RUNNING") return null;
  return html`<button type="button" class="small" onClick=${() => setOpen(true)}>Change</button>
    ${open ? html`<${Form} experiment=${experiment} job=${job} close=${() => setOpen(false)} />` : null}`;
}
