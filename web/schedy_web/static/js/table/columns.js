/** Columns of the table of jobs: which there are, which are shown, and their cells. */
import { now } from "../clock.js";
import { seconds, value } from "../format.js";
import { Status, When } from "../parts/basic.js";
import { html } from "../vendor.js";

const MOST = 10;

/** A column: how it is named in addresses, its heading, whether it holds numbers, and its cell. */
function column(field, title, cell, { number = false, sorts = field } = {}) {
  return { field, title, cell, number, sorts };
}

export function allColumns(experiment) {
  const values = (kind, source) => experiment.fields.filter((each) => each.source === source)
    .map((each) => column(`${source}.${each.field}`, each.field, (job) => value(job[kind][each.field]), { number: each.kind !== "choice" }));
  return [
    column("status", "status", (job) => html`<${Status} status=${job.status} stop=${job.stop} />`),
    ...values("results", "result"),
    ...values("hyperparameters", "hyperparameter"),
    column("quality", "quality", (job) => value(job.quality), { number: true }),
    column("took", "took", (job) => (job.status === "RUNNING" ? html`<span class="faint">${seconds((now() - Date.parse(job.started_at)) / 1000)}</span>` : seconds(job.seconds)), { number: true, sorts: null }),
    column("worker", "worker", (job) => html`<span class="faint">${job.worker || ""}</span>`),
    column("attempt", "attempt", (job) => job.attempt, { number: true }),
    column("finished_at", "ended", (job) => html`<${When} time=${job.finished_at} />`),
    column("created_at", "added", (job) => html`<${When} time=${job.created_at} />`),
    column("error", "error", (job) => html`<span class="CRASHED">${job.error || ""}</span>`),
  ];
}

/** The columns that are shown without a choice: objectives, then what differs, in the order in which it matters. */
export function defaultColumns(experiment, jobs, order, crashed) {
  const columns = allColumns(experiment);
  const objectives = experiment.objectives.map((each) => `result.${each.name}`);
  const differs = (each) => new Set(jobs.map((job) => JSON.stringify(job.hyperparameters[each.title]))).size > 1;
  const place = (name) => (order.includes(name) ? order.indexOf(name) : order.length);
  const hyperparameters = columns.filter((each) => each.field.startsWith("hyperparameter.") && (jobs.length < 2 || differs(each)))
    .sort((one, other) => place(one.title) - place(other.title));
  const tried = jobs.some((job) => job.attempt > 1);
  const fixed = ["took", "worker", "finished_at", ...(tried ? ["attempt"] : []), ...(crashed ? ["error"] : [])];
  const results = objectives.length ? objectives : columns.filter((each) => each.field.startsWith("result.")).slice(0, 3).map((each) => each.field);
  const shown = ["status", ...results, ...hyperparameters.map((each) => each.field)].slice(0, MOST - 3);
  return [...shown, ...fixed];
}
