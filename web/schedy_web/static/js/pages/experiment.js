/** One experiment: does it run, how far is it, what is best, what goes wrong; charts and jobs. */
import { Link, jobAddress, setQuery } from "../address.js";
import { Curves, hasSteps } from "../charts/curves.js";
import { hintsOf } from "../charts/hints.js";
import { History } from "../charts/history.js";
import { Importance, useImportances } from "../charts/importance.js";
import { Lineage, hasLineage } from "../charts/lineage.js";
import { Parallel } from "../charts/parallel.js";
import { Pareto } from "../charts/pareto.js";
import { Slices } from "../charts/slices.js";
import { Timeline } from "../charts/timeline.js";
import { count, pushCommand, quoted, seconds, value } from "../format.js";
import { useAnswer } from "../hooks.js";
import { Bar, CopyButton, Notice, Panel, Pending, STATUSES, When } from "../parts/basic.js";
import { Crashes } from "../parts/crashes.js";
import { Peek } from "../parts/peek.js";
import { Settings } from "../parts/settings.js";
import { Jobs } from "../table/jobs.js";
import { html, useEffect, useMemo, useState } from "../vendor.js";
import { ExperimentActions } from "../actions/experiment.js";
import { EventList } from "./log.js";

const TABS = [["", "Results"], ["events", "Events"], ["settings", "Settings"]];

function subtitle(experiment) {
  const goals = experiment.objectives.map((each) => `${each.direction} ${each.name}`).join(", ");
  const left = experiment.seconds_left === null ? "" : `, about ${seconds(experiment.seconds_left)} left`;
  return `${experiment.scheduler}${goals ? `, ${goals}` : ""}  ·  ${experiment.state_text}${left}`;
}

function Best({ experiment }) {
  const { best } = experiment;
  if (!best) {
    if (!experiment.objectives.length) return html`<div class="faint">No objective is named, so no job is the best. Add the experiment with --minimize or --maximize RESULT.</div>`;
    return html`<div class="faint">No job is DONE with a value of ${experiment.objectives[0].name} yet.</div>`;
  }
  return html`<div class="row"><b>Best ${experiment.objectives[0].name} ${value(best.value)}</b>
    <${Link} to=${jobAddress(experiment, best.id)}>${best.id}<//> <${When} time=${best.finished_at} />
    ${Object.entries(best.hyperparameters).slice(0, 8).map(([name, each]) => html`<span key=${name} class="mono"><span class="faint">${name}</span> ${value(each)}</span>`)}
    <${CopyButton} text=${pushCommand(experiment.name, best.hyperparameters)} label="copy as push" /></div>`;
}

function Head({ experiment }) {
  const of = experiment.open_jobs === null ? null : experiment.ended + experiment.open_jobs;
  const shown = STATUSES.filter((status) => experiment.counts[status]);
  return html`<div class="row"><div class="grow"><h1>${experiment.name}</h1><div class="faint">${subtitle(experiment)}</div></div>
      <${ExperimentActions} experiment=${experiment} /></div>
    ${experiment.problem ? html`<${Notice} kind="error">${experiment.problem}<//>` : null}
    <${Bar} counts=${experiment.counts} of=${of} />
    <div class="row">${shown.map((status) => html`<span key=${status} class=${status}>${status} ${count(experiment.counts[status])}</span>`)}
      <span class="faint">${count(experiment.ended)}${of ? ` of ${count(of)}` : ""} ended</span></div>
    <${Best} experiment=${experiment} />`;
}

function Charts({ experiment, query, pick, sample, found }) {
  const curves = useAnswer(`experiments/${experiment.number}/curves`);
  if (!sample.data) return html`<${Pending} answer=${sample} />`;
  if (!sample.data.of) return null;
  const shared = { experiment, sample: sample.data, query, pick, found };
  const several = experiment.objectives.length > 1;
  const hasCurves = hasSteps(curves.data);
  return html`${hintsOf(experiment, sample.data).map((hint) => html`<${Notice} key=${hint}>${hint}<//>`)}<div class="grid">
    ${several ? html`<${Pareto} ...${shared} className="w8" />` : html`<${History} ...${shared} className="w8" />`}
    <${Importance} ...${shared} className="w4" choose=${(name) => setQuery({ slice: name })} />
    ${hasLineage(sample.data) ? html`<${Lineage} ...${shared} className="w12" />` : null}
    <${Parallel} ...${shared} className="w12" />
    ${hasCurves ? html`<${Curves} experiment=${experiment} answer=${curves.data} query=${query} className="w6" />` : null}
    ${curves.error ? html`<${Panel} className="w6" title="Learning curves"><${Pending} answer=${curves} /><//>` : null}
    <${Timeline} ...${shared} className=${hasCurves || curves.error ? "w6" : "w12"} />
    <${Slices} ...${shared} chosen=${query.get("slice")} />
    ${several ? html`<${History} ...${shared} className="w12" />` : null}
  </div>`;
}

const OF_TABLE = ["where", "status", "sort", "page", "cols", "sel"];

/** What the charts show of an address; the rest is of the table. */
function viewOfCharts(query) {
  return JSON.stringify([...query].filter(([name]) => !OF_TABLE.includes(name)));
}

function Results({ experiment, query }) {
  const [peeked, setPeeked] = useState(null);
  const sample = useAnswer(`experiments/${experiment.number}/sample`);
  const found = useImportances(experiment, sample.data);
  const charts = useMemo( // the same while only the table changes, so that nothing is drawn again
    () => html`<${Charts} experiment=${experiment} query=${query} pick=${setPeeked} sample=${sample} found=${found} />`,
    [experiment, sample.data, sample.error, found, viewOfCharts(query)],
  );
  return html`${charts}
    ${experiment.counts.CRASHED ? html`<${Crashes} experiment=${experiment} />` : null}
    <${Jobs} experiment=${experiment} query=${query} order=${found.list.map((each) => each.name)} />
    ${peeked ? html`<${Peek} experiment=${experiment} id=${peeked} close=${() => setPeeked(null)} />` : null}`;
}

export function Experiment({ number, query }) {
  const answer = useAnswer(`experiments/${number}`);
  const tab = query.get("tab") || "";
  const experiment = answer.data;
  useEffect(() => {
    document.title = experiment ? `${experiment.name} - Schedy` : "Schedy";
    return () => { document.title = "Schedy"; };
  }, [experiment?.name]);
  if (answer.error?.status === 404) {
    return html`<h1>No such experiment</h1><${Notice} kind="warn">${experiment ? `${experiment.name} was removed.` : answer.error.message} <${Link} to="/">All experiments<//><//>`;
  }
  if (!experiment) return html`<${Pending} answer=${answer} />`;
  return html`<${Head} experiment=${experiment} />
    <div class="tabs" role="tablist">${TABS.map(([name, text]) => html`<button type="button" role="tab" key=${name} aria-selected=${tab === name}
      onClick=${() => setQuery({ tab: name }, { replace: false })}>${text}</button>`)}</div>
    ${tab === "" ? html`<${Results} experiment=${experiment} query=${query} />` : null}
    ${tab === "events" ? html`<${EventList} query=${query} address=${`experiments/${number}/events`} command=${`schedy history ${quoted(experiment.name)}`} />` : null}
    ${tab === "settings" ? html`<${Settings} experiment=${experiment} />` : null}`;
}
