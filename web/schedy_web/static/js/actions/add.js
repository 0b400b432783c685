/** Add an experiment, by a definition as `schedy show --definition` prints it. */
import { experimentAddress, go } from "../address.js";
import { usePulse } from "../hooks.js";
import { Dialog } from "../parts/dialog.js";
import { Command } from "../parts/basic.js";
import { quoted } from "../format.js";
import { html, useState } from "../vendor.js";
import { make, useWork } from "./change.js";

const EXAMPLE = `objectives = [{result = "loss", direction = "minimize"}]
max_jobs = 40

[hyperparameters]
lr = "loguniform(1e-5, 0.1)"
batch_size = "choice(16, 32, 64)"
`;

/** The definition of an experiment as JSON, to add another like it. */
export function definitionOf(experiment) {
  const limits = Object.fromEntries(Object.entries(experiment.limits).filter(([, each]) => each !== null && each !== false));
  return JSON.stringify({ algorithm: experiment.scheduler, ...experiment.settings, ...(Object.keys(limits).length ? { limits } : {}) }, null, 2);
}

function Form({ text, close }) {
  const [name, setName] = useState("");
  const [definition, setDefinition] = useState(text);
  const [isBusy, run] = useWork();
  const isJson = definition.trimStart().startsWith("{");
  const add = (event) => {
    event.preventDefault();
    run(async () => {
      const answer = await make("POST", "experiments", { name, definition, language: isJson ? "JSON" : "TOML" }, `${name} was added.`);
      close();
      if (answer.number) go(experimentAddress(answer));
    });
  };
  return html`<${Dialog} title="Add an experiment" close=${close}><form onSubmit=${add}>
    <label>Name <input required value=${name} onInput=${(event) => setName(event.target.value)} /></label>
    <label>Definition <textarea class="mono" rows="12" cols="56" spellcheck=${false} value=${definition} onInput=${(event) => setDefinition(event.target.value)}></textarea></label>
    <div class="row"><button type="submit" class="main" disabled=${isBusy}>Add</button>
      <span class="faint">TOML or JSON; with <code>algorithm = "manual"</code> you push the jobs</span></div>
    <${Command} text=${`schedy add ${quoted(name || "NAME")} --from definition.${isJson ? "json" : "toml"}`} /></form><//>`;
}

/** A button that opens the form; `text` is the definition to begin with. */
export function AddButton({ label = "Add experiment", text = EXAMPLE }) {
  const { data: beat } = usePulse();
  const [open, setOpen] = useState(false);
  if (!beat?.operate) return null;
  return html`<button type="button" class="small" onClick=${() => setOpen(true)}>${label}</button>
    ${open ? html`<${Form} text=${text} close=${() => setOpen(false)} />` : null}`;
}
