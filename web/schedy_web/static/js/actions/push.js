/** Push a job: a form made from the space, or JSON. */
import { go, jobAddress } from "../address.js";
import { Dialog } from "../parts/dialog.js";
import { Command } from "../parts/basic.js";
import { pushCommand } from "../format.js";
import { html, useState } from "../vendor.js";
import { make, useWork } from "./change.js";

/** The value that was typed: JSON, or else the text itself. */
export function typed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function Field({ field, text, change }) {
  if (field.choices) {
    return html`<label>${field.field} <select value=${text} onChange=${(event) => change(event.target.value)}>
      ${field.choices.map((each) => html`<option key=${JSON.stringify(each)} value=${JSON.stringify(each)}>${String(each)}</option>`)}</select></label>`;
  }
  const range = typeof field.low === "number" ? `${field.low} to ${field.high}` : "a value";
  return html`<label>${field.field} <input required value=${text} placeholder=${range} onInput=${(event) => change(event.target.value)} /></label>`;
}

function Form({ experiment, close, initial }) {
  const fields = experiment.fields.filter((each) => each.source === "hyperparameter");
  const first = Object.fromEntries(fields.map((each) => [each.field, each.field in initial ? JSON.stringify(initial[each.field]) : each.choices ? JSON.stringify(each.choices[0]) : ""]));
  const [texts, setTexts] = useState(first);
  const [json, setJson] = useState(JSON.stringify(initial));
  const [isBusy, run] = useWork();
  const given = () => (fields.length ? Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== "").map(([name, text]) => [name, typed(text)])) : typed(json));
  const push = (event) => {
    event.preventDefault();
    run(async () => {
      const answer = await make("POST", `experiments/${experiment.number}/jobs`, { hyperparameters: given() });
      close();
      if (answer.ids) go(jobAddress(experiment, answer.ids[0]));
    });
  };
  return html`<${Dialog} title=${`Push a job to ${experiment.name}`} close=${close}><form onSubmit=${push}>
    ${fields.length ? fields.map((field) => html`<${Field} key=${field.field} field=${field} text=${texts[field.field]} change=${(text) => setTexts({ ...texts, [field.field]: text })} />`)
      : html`<label>JSON <textarea rows="4" cols="40" aria-label="Hyperparameters as JSON" value=${json} onInput=${(event) => setJson(event.target.value)}></textarea></label>`}
    <div class="row"><button type="submit" class="main" disabled=${isBusy}>Push</button></div>
    <${Command} text=${pushCommand(experiment.name, typeof given() === "object" && given() ? given() : {})} /></form><//>`;
}

export function PushButton({ experiment, initial = {} }) {
  const [open, setOpen] = useState(false);
  return html`<button type="button" onClick=${() => setOpen(true)}>Push job</button>
    ${open ? html`<${Form} experiment=${experiment} initial=${initial} close=${() => setOpen(false)} />` : null}`;
}
