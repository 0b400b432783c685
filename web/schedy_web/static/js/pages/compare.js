/** Two to twenty jobs beside each other. */
import { Link, experimentAddress, jobAddress, setQuery } from "../address.js";
import { Curves, hasSteps } from "../charts/curves.js";
import { lineStyle } from "../charts/data.js";
import { seconds, value } from "../format.js";
import { useAnswer } from "../hooks.js";
import { Notice, Panel, Pending, Status } from "../parts/basic.js";
import { html } from "../vendor.js";

const MOST = 20;

function rowsOf(jobs) {
  const names = (kind) => [...new Set(jobs.flatMap((job) => Object.keys(job[kind])))];
  return [
    ...names("results").map((name) => ({ name, kind: "result", values: jobs.map((job) => job.results[name] ?? null) })),
    ...names("hyperparameters").map((name) => ({ name, kind: "hyperparameter", values: jobs.map((job) => job.hyperparameters[name] ?? null) })),
    { name: "took", kind: "column", values: jobs.map((job) => job.seconds), text: seconds },
    { name: "attempt", kind: "column", values: jobs.map((job) => job.attempt) },
    { name: "worker", kind: "column", values: jobs.map((job) => job.worker) },
  ];
}

/** A value, or its difference to that of the pinned job. */
function cell(row, k, pinned) {
  const each = row.values[k];
  const base = pinned >= 0 ? row.values[pinned] : null;
  const text = row.text ? row.text(each) : value(each);
  if (k === pinned || typeof each !== "number" || typeof base !== "number" || row.kind === "column") return text;
  return `${each >= base ? "+" : ""}${value(each - base)}`;
}

function useJobs(number, ids) {
  const answers = Array.from({ length: MOST }, (_each, k) => useAnswer(ids[k] ? `experiments/${number}/jobs/${ids[k]}` : null));
  const asked = answers.slice(0, ids.length);
  return { jobs: asked.map((each) => each.data).filter((each) => each), error: asked.find((each) => each.error)?.error, isWhole: asked.every((each) => each.data) };
}

export function Compare({ number, query }) {
  const ids = (query.get("ids") || "").split(",").filter(Boolean).slice(0, MOST);
  const { jobs, error, isWhole } = useJobs(number, ids);
  const detail = useAnswer(`experiments/${number}`);
  const curves = useAnswer(ids.length ? `experiments/${number}/curves?ids=${ids.join(",")}` : null);
  if (ids.length < 2) return html`<h1>Compare</h1><${Notice} kind="warn">Select two jobs or more in the <${Link} to=${`/e/${number}`}>table<//>, and press Compare.<//>`;
  if (error) return html`<h1>Compare</h1><${Notice} kind="error">${error.message}<//>`;
  if (!isWhole || !detail.data) return html`<${Pending} answer=${{}} />`;
  const pinned = ids.indexOf(query.get("pin"));
  const styles = Object.fromEntries(ids.map((id, k) => [id, lineStyle(k)]));
  const onlyDiffers = query.get("all") !== "1";
  const rows = rowsOf(jobs).filter((row) => !onlyDiffers || new Set(row.values.map((each) => JSON.stringify(each))).size > 1);
  return html`<h1><${Link} to=${experimentAddress(detail.data)}>${detail.data.name}<//> / compare</h1>
    <${Panel} title=${`${jobs.length} jobs`} actions=${html`<label><input type="checkbox" checked=${onlyDiffers} onChange=${() => setQuery({ all: onlyDiffers ? 1 : null })} /> only what differs</label>`}>
      <div class="scroll" tabindex="0"><table aria-label="Jobs beside each other"><thead><tr><th scope="col">field</th>${jobs.map((job) => html`<th scope="col" class="number" key=${job.id}>
        <span aria-hidden="true" style=${{ color: styles[job.id].stroke }}>${styles[job.id].dash ? "╌" : "━"} </span><${Link} to=${jobAddress(detail.data, job.id)}>${job.id}<//> <button type="button" aria-pressed=${query.get("pin") === job.id}
          onClick=${() => setQuery({ pin: query.get("pin") === job.id ? null : job.id })}>${query.get("pin") === job.id ? "unpin" : "pin"}</button><div><${Status} status=${job.status} /></div></th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.kind + row.name}><th scope="row">${row.name}</th>${jobs.map((job, k) => html`<td class="number" key=${job.id}>${cell(row, k, pinned)}</td>`)}</tr>`)}</tbody></table></div>
      ${pinned >= 0 ? html`<div class="faint">Numbers are differences to ${ids[pinned]}.</div>` : null}<//>
    ${hasSteps(curves.data) ? html`<${Curves} experiment=${detail.data} answer=${curves.data} query=${query} title="Learning curves" styles=${styles} />` : null}`;
}
