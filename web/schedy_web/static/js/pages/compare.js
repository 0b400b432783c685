/** Two to twenty jobs beside each other. */
import { Link, experimentAddress, jobAddress } from "../address.js";
import { Curves, hasSteps } from "../charts/curves.js";
import { lineStyle } from "../charts/data.js";
import { quoted, seconds } from "../format.js";
import { useAnswer, useAnswers } from "../hooks.js";
import { Command, Notice, Pending, Status } from "../parts/basic.js";
import { Beside } from "../parts/beside.js";
import { html } from "../vendor.js";

const MOST = 20;

function rowsOf(jobs) {
  const names = (kind) => [...new Set(jobs.flatMap((job) => Object.keys(job[kind])))];
  return [
    ...names("results").map((name) => ({ name, differs: true, values: jobs.map((job) => job.results[name] ?? null) })),
    ...names("hyperparameters").map((name) => ({ name, differs: true, values: jobs.map((job) => job.hyperparameters[name] ?? null) })),
    { name: "took", values: jobs.map((job) => job.seconds), text: seconds },
    { name: "attempt", values: jobs.map((job) => job.attempt) },
    { name: "worker", values: jobs.map((job) => job.worker) },
  ];
}

export function Compare({ number, query }) {
  const ids = (query.get("ids") || "").split(",").filter(Boolean).slice(0, MOST);
  const { data: jobs, error, isWhole } = useAnswers(ids.map((id) => `experiments/${number}/jobs/${id}`), MOST);
  const detail = useAnswer(`experiments/${number}`);
  const curves = useAnswer(ids.length ? `experiments/${number}/curves?ids=${ids.join(",")}` : null);
  if (ids.length < 2) return html`<h1>Compare</h1><${Notice} kind="warn">Select two jobs or more in the <${Link} to=${`/e/${number}`}>table<//>, and press Compare.<//>`;
  if (error) return html`<h1>Compare</h1><${Notice} kind="error">${error.message}<//>`;
  if (!isWhole || !detail.data) return html`<${Pending} answer=${{}} />`;
  const styles = Object.fromEntries(ids.map((id, k) => [id, lineStyle(k)]));
  const columns = jobs.map((job) => ({ key: job.id, style: styles[job.id], head: html`<${Link} to=${jobAddress(detail.data, job.id)}>${job.id}<//>`, below: html`<${Status} status=${job.status} />` }));
  const command = `schedy show ${quoted(detail.data.name)} ${ids.join(" ")}`;
  return html`<div class="row"><h1><${Link} to=${experimentAddress(detail.data)}>${detail.data.name}<//> / compare</h1>
      <span class="grow"></span><${Command} text=${command} /></div>
    <${Beside} title=${`${jobs.length} jobs`} label="Jobs beside each other" columns=${columns} rows=${rowsOf(jobs)} query=${query} />
    ${hasSteps(curves.data) ? html`<${Curves} experiment=${detail.data} answer=${curves.data} query=${query} title="Learning curves" styles=${styles} />` : null}`;
}
