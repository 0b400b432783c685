/** One job: what it was given, what came out, what happened to it. */
import { Link, experimentAddress, go, jobAddress } from "../address.js";
import { now } from "../clock.js";
import { Curves, hasSteps } from "../charts/curves.js";
import { clock, pushCommand, quoted, seconds } from "../format.js";
import { useAnswer, usePulse } from "../hooks.js";
import { useKeys } from "../keys.js";
import { Command, CopyButton, Notice, Panel, Pending, Status, When } from "../parts/basic.js";
import { Events } from "../parts/events.js";
import { Values } from "../parts/peek.js";
import { AmendButton } from "../actions/amend.js";
import { JobActions } from "../actions/jobs.js";
import { html } from "../vendor.js";

function Neighbours({ experiment, id }) {
  const list = useAnswer(`experiments/${experiment.number}/jobs?limit=50`);
  const ids = (list.data?.jobs || []).map((job) => job.id);
  const place = ids.indexOf(id);
  const open = (step) => place >= 0 && ids[place + step] && go(jobAddress(experiment, ids[place + step]));
  useKeys({ "[": () => open(-1), "]": () => open(1) });
  if (place < 0) return null;
  return html`<span class="faint">${place + 1} of ${list.data.total}</span>
    <button type="button" class="small" disabled=${place === 0} onClick=${() => open(-1)} title="Previous ([)">‹ previous</button>
    <button type="button" class="small" disabled=${place === ids.length - 1} onClick=${() => open(1)} title="Next (])">next ›</button>`;
}

function Times({ job }) {
  const waited = job.started_at ? (Date.parse(job.started_at) - Date.parse(job.created_at)) / 1000 : null;
  return html`<div class="row"><span>added <${When} time=${job.created_at} /></span>
    ${waited === null ? null : html`<span class="faint">waited ${seconds(waited)}</span>`}
    ${job.started_at ? html`<span>started <${When} time=${job.started_at} /></span>` : null}
    ${job.status === "RUNNING" ? html`<span class="RUNNING">runs for ${seconds((now() - Date.parse(job.started_at)) / 1000)}</span>` : null}
    ${job.silent_seconds ? html`<span class="PRUNED">silent for ${seconds(job.silent_seconds)}</span>` : null}
    ${job.finished_at ? html`<span>ended <${When} time=${job.finished_at} /></span>` : null}
    ${job.seconds === null ? null : html`<span>ran ${seconds(job.seconds)}</span>`}
    <span>attempt ${job.attempt}</span>${job.releases ? html`<span class="PRUNED">given back ${job.releases} times</span>` : null}
    <span class="faint">${job.worker || ""}</span></div>`;
}

function Output({ output, experiment, id }) {
  if (!output || (!output.text && !output.traceback)) return null;
  return html`<${Panel} className="w12" title=${`Output of attempt ${output.attempt}`} actions=${html`${output.path ? html`<code>${output.path}</code>` : null}
      <${Command} text=${`schedy output ${quoted(experiment.name)} ${id}`} />`}>
    ${output.traceback && !output.text.includes(output.traceback.trim()) ? html`<h2>Traceback</h2><pre class="output CRASHED" tabindex="0">${output.traceback}</pre>` : null}
    ${output.text ? html`<pre class="output" tabindex="0">${output.text}</pre>` : null}<//>`;
}

function CurvePanel({ experiment, id, query }) {
  const detail = useAnswer(`experiments/${experiment.number}`);
  const answer = useAnswer(`experiments/${experiment.number}/curves?ids=${id}&limit=1000`);
  if (answer.error) return html`<${Panel} className="w12" title="Learning curve"><${Pending} answer=${answer} /><//>`;
  if (!detail.data || !hasSteps(answer.data)) return null;
  return html`<${Curves} experiment=${detail.data} answer=${answer.data} query=${query} className="w12" title="Learning curve" />`;
}

export function Job({ number, job: id, query }) {
  const answer = useAnswer(`experiments/${number}/jobs/${id}`);
  const { data: beat } = usePulse();
  const job = answer.data;
  if (answer.error?.status === 404) return html`<h1>No such job</h1><${Notice} kind="warn">${answer.error.message} <${Link} to=${`/e/${number}`}>The experiment<//><//>`;
  if (!job || answer.stale) return html`<${Pending} answer=${answer} />`;
  const { experiment } = job;
  return html`<div class="row"><h1><${Link} to=${experimentAddress(experiment)}>${experiment.name}<//> / ${job.id}</h1>
      <${Status} status=${job.status} stop=${job.stop} /><span class="grow"></span><${Neighbours} experiment=${experiment} id=${id} /></div>
    <${Times} job=${job} />
    ${job.stop ? html`<${Notice} kind="warn">Its worker was asked to stop: ${job.stop}.<//>` : null}
    <div class="row">${beat?.operate ? html`<${JobActions} experiment=${experiment} ids=${[job.id]} query=${query} status=${job.status} />` : null}
      <${CopyButton} text=${job.id} label="copy id" /><${Command} text=${pushCommand(experiment.name, job.hyperparameters)} />
      <${Command} text=${`schedy show ${quoted(experiment.name)} ${job.id} -v`} /></div>
    ${job.error ? html`<${Panel} title=${`Error of attempt ${job.attempt}`}><pre class="output CRASHED" tabindex="0">${job.error}</pre><//>` : null}
    <div class="grid">
      <${Panel} className="w6" title="Hyperparameters" actions=${html`<${Command} text=${`schedy why ${quoted(experiment.name)} ${job.id}`} />`}><${Values} values=${job.hyperparameters} />
        <p class="faint">${job.why.join(" ")}</p><//>
      <${Panel} className="w6" title="Results" actions=${html`<${AmendButton} experiment=${experiment} job=${job} />`}><${Values} values=${job.results} empty=${job.finished_at ? "none" : "none yet"} />
        ${Object.keys(job.previous_results).length ? html`<h2>Of earlier attempts</h2><${Values} values=${job.previous_results} />` : null}
        ${job.parent ? html`<h2>Continues</h2><${Link} to=${jobAddress(experiment, job.parent)}>${job.parent}<//> <span class="faint">generation ${job.generation}</span>` : null}<//>
      <${CurvePanel} experiment=${experiment} id=${id} query=${query} />
      <${Output} output=${job.output} experiment=${experiment} id=${job.id} />
      <${Panel} className="w12" title="Events" actions=${html`<span class="faint">${job.events.length ? `since ${clock(job.events[0].at)}` : ""}</span>
        <${Command} text=${`schedy history ${quoted(experiment.name)} ${job.id}`} />`}><${Events} events=${job.events} where=${false} /><//>
    </div>`;
}
