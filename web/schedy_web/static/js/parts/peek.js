/** A job at the side of the page, so that the place in the charts is not lost. */
import { Link, jobAddress } from "../address.js";
import { seconds, value } from "../format.js";
import { useAnswer } from "../hooks.js";
import { Panel, Pending, Status } from "./basic.js";
import { html, useEffect, useRef } from "../vendor.js";

const LONG = 1000;

export function Values({ values, empty = "none" }) {
  const pairs = Object.entries(values);
  if (!pairs.length) return html`<span class="faint">${empty}</span>`;
  return html`<dl class="pairs">${pairs.map(([name, each]) => html`<dt key=${name}>${name}</dt><${Given} text=${value(each, 7)} whole=${String(each)} />`)}</dl>`;
}

/** A value; a long text, which may have a million characters, has a box to scroll in. */
function Given({ text, whole }) {
  return text.length > LONG ? html`<dd class="long" tabindex="0">${text}</dd>` : html`<dd title=${whole}>${text}</dd>`;
}

export function Peek({ experiment, id, close }) {
  const answer = useAnswer(`experiments/${experiment.number}/jobs/${id}`);
  const box = useRef(null);
  useEffect(() => {
    const escape = (event) => event.key === "Escape" && close();
    document.addEventListener("keydown", escape);
    return () => document.removeEventListener("keydown", escape);
  }, []);
  const job = answer.data;
  return html`<aside ref=${box} class="peek" aria-label=${`Job ${id}`}><${Panel} title=${`Job ${id}`} actions=${html`
      <${Link} to=${jobAddress(experiment, id)}>open<//><button type="button" class="small" aria-label="Close" onClick=${close}>✕</button>`}>
    ${job ? html`<div class="row"><${Status} status=${job.status} stop=${job.stop} />${job.seconds === null ? null : html`<span class="faint">${seconds(job.seconds)}</span>`}
        <span class="faint">${job.worker || ""}</span></div>
      ${job.error ? html`<div class="CRASHED">${job.error.split("\n")[0]}</div>` : null}
      <h2>Results</h2><${Values} values=${job.results} /><h2>Hyperparameters</h2><${Values} values=${job.hyperparameters} />`
      : html`<${Pending} answer=${answer} />`}<//></aside>`;
}
