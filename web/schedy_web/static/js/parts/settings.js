/** What an experiment was added with. */
import { AddButton, definitionOf } from "../actions/add.js";
import { LimitsButton } from "../actions/limits.js";
import { CopyButton, Panel, Command } from "./basic.js";
import { quoted, seconds, value } from "../format.js";
import { html } from "../vendor.js";

function spaceText(field) {
  if (field.choices) return `one of ${field.choices.map((each) => value(each)).join(", ")}`;
  if (field.low === null || field.low === undefined) return field.kind;
  return `${field.kind} from ${value(field.low)} to ${value(field.high)}${field.log ? ", logarithmic" : ""}`;
}

const bound = (name, most, least) => `${name} ${most === null || most === undefined ? `>= ${least}` : `<= ${most}`}`;

export function Settings({ experiment }) {
  const space = experiment.fields.filter((each) => each.source === "hyperparameter");
  const { limits } = experiment;
  const pairs = [
    ["algorithm", experiment.scheduler],
    ["objectives", experiment.objectives.map((each) => `${each.direction} ${each.name}`).join(", ") || "none"],
    ["constraints", experiment.constraints.map((each) => bound(each.name, each.at_most, each.at_least)).join(", ")],
    ["conditions", (experiment.settings.where || []).join("; ")],
    ["where a job lacks it", Object.entries(experiment.settings.assumed || {}).map(([name, each]) => `${name} ${value(each)}`).join(", ")],
    ["ends at", (experiment.settings.stop_at || []).map((each) => bound(each.result, each.at_most, each.at_least)).join(", ")],
    ["ended without a crash, at most", experiment.settings.max_done],
    ["jobs at most", experiment.max_jobs], ["jobs made", `${experiment.made}${experiment.made_by.length ? ` (${experiment.made_by.map((each) => `${each.jobs} ${each.algorithm}`).join(", ")})` : ""}`], ["pruner", experiment.settings.pruner ? JSON.stringify(experiment.settings.pruner) : ""],
    ["workers lost at most", limits.max_attempts], ["job timeout", limits.job_timeout === null ? "" : seconds(limits.job_timeout)],
    ["stall timeout", limits.stall_timeout === null ? "" : seconds(limits.stall_timeout)], ["seed", experiment.settings.seed],
  ].filter(([, each]) => each !== "" && each !== null && each !== undefined);
  const text = definitionOf(experiment);
  return html`<div class="grid">
    <${Panel} className="w6" title="Limits and goals" actions=${html`<${LimitsButton} experiment=${experiment} />`}><dl class="pairs">${pairs.map(([name, each]) => html`<dt key=${name}>${name}</dt><dd>${each}</dd>`)}</dl>
      <p class="row"><${Command} text=${`schedy show ${quoted(experiment.name)} -v`} /></p><//>
    <${Panel} className="w6" title="Hyperparameters"><dl class="pairs">${space.map((each) => html`<dt key=${each.field}>${each.field}</dt><dd>${spaceText(each)}</dd>`)}</dl><//>
    <${Panel} className="w12" title="Definition" actions=${html`<${CopyButton} text=${text} /><${AddButton} label="Add another like it" text=${text} />`}><pre class="output" tabindex="0">${text}</pre><//></div>`;
}
