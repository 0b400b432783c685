/** Change the limits, the budget and the pruner of an experiment. */
import { usePulse } from "../hooks.js";
import { Dialog } from "../parts/dialog.js";
import { Command } from "../parts/basic.js";
import { quoted } from "../format.js";
import { html, useState } from "../vendor.js";
import { make, useWork } from "./change.js";

const FIELDS = [
  ["settings", "max_jobs", "jobs at most"],
  ["settings", "max_done", "jobs that end without a crash, at most"],
  ["settings", "max_time", "seconds at most"],
  ["settings", "stop_after_no_improvement", "end after so many jobs without a new best"],
  ["settings", "stop_after_no_result", "end after so many without the objective"],
  ["settings", "stop_after_crashes", "end if so many first ones all crash"],
  ["settings", "ready", "jobs made ahead"],
  ["limits", "max_attempts", "workers lost at most"],
  ["limits", "job_timeout", "seconds of a job at most"],
  ["limits", "stall_timeout", "seconds without a report at most"],
];
const PRUNERS = ["median", "percentile", "asha", "hyperband", "threshold"];

const shown = (given) => (given === null || given === undefined ? "" : String(given));

/** What differs from before: `{settings, limits}`, and the options of `schedy set`. */
function changesOf(experiment, texts) {
  const body = {};
  const words = [];
  for (const [part, name] of FIELDS) {
    if (texts[name] === shown(experiment[part][name])) continue;
    body[part] = { ...body[part], [name]: texts[name] === "" ? null : Number(texts[name]) };
    words.push(`--${name.replaceAll("_", "-")} ${texts[name] === "" ? "none" : quoted(texts[name])}`);
  }
  const pruner = prunerOf(experiment);
  if (texts.pruner !== pruner) {
    body.settings = { ...body.settings, pruner: texts.pruner ? { [texts.pruner]: {} } : null };
    words.push(`--pruner ${texts.pruner || "none"}`);
  }
  return { body, words };
}

const prunerOf = (experiment) => Object.keys(experiment.settings.pruner || {})[0] || "";

function Form({ experiment, close }) {
  const fields = FIELDS.filter(([part]) => part === "limits" || experiment.scheduler !== "manual");
  const [texts, setTexts] = useState({ ...Object.fromEntries(FIELDS.map(([part, name]) => [name, shown(experiment[part][name])])), pruner: prunerOf(experiment) });
  const [isBusy, run] = useWork();
  const { body, words } = changesOf(experiment, texts);
  const set = (name) => (event) => setTexts({ ...texts, [name]: event.target.value.trim() });
  const change = async (event) => {
    event.preventDefault();
    if (await run(() => make("PATCH", `experiments/${experiment.number}`, body, `${experiment.name} was changed.`))) close();
  };
  return html`<${Dialog} title=${`Change ${experiment.name}`} close=${close}><form onSubmit=${change}>
    ${fields.map(([, name, label]) => html`<label key=${name}>${label}
      <input type="number" min="0" step="any" placeholder="no limit" value=${texts[name]} onInput=${set(name)} /></label>`)}
    <label>pruner <select value=${texts.pruner} onChange=${set("pruner")}>${["", ...PRUNERS].map((each) => html`<option key=${each} value=${each}>${each || "none"}</option>`)}</select></label>
    <div class="row"><button type="submit" class="main" disabled=${isBusy || !words.length}>Change</button>
      <span class="faint">limits apply to running jobs, too</span></div>
    ${words.length ? html`<${Command} text=${`schedy set ${quoted(experiment.name)} ${words.join(" ")}`} />` : null}</form><//>`;
}

export function LimitsButton({ experiment }) {
  const { data: beat } = usePulse();
  const [open, setOpen] = useState(false);
  if (!beat?.operate) return null;
  return html`<button type="button" class="small" onClick=${() => setOpen(true)}>Change</button>
    ${open ? html`<${Form} experiment=${experiment} close=${() => setOpen(false)} />` : null}`;
}
