/** The value of each job in the order in which they ended, and the best so far. */
import { setQuery } from "../address.js";
import { count, value } from "../format.js";
import { html, useMemo } from "../vendor.js";
import { bestSoFar, innerRange, keepsOf, measureOf } from "./data.js";
import { Chart } from "./frame.js";
import { Plot } from "./plot.js";

/** Columns for the plot, sorted by x. */
function columnsOf(experiment, sample, measure, byTime) {
  const keeps = keepsOf(experiment, sample);
  const at = (k) => (byTime ? Date.parse(sample.finished_at[k]) / 1000 : sample.ended[k]);
  const order = sample.ids.map((_id, k) => k).filter((k) => sample.ended[k] !== null).sort((one, other) => at(one) - at(other));
  const with_ = (test) => order.map((k) => (test(k) ? measure.values[k] : null));
  const bests = bestSoFar(order, measure, sample, keeps);
  return {
    order, x: order.map(at), ids: order.map((k) => sample.ids[k]), bestSoFar: bests, best: bests.at(-1) ?? null,
    done: with_((k) => sample.status[k] === "DONE" && keeps[k]),
    pruned: with_((k) => sample.status[k] === "PRUNED"),
    broken: with_((k) => sample.status[k] === "DONE" && !keeps[k]),
    crashes: order.filter((k) => sample.status[k] === "CRASHED").map(at),
  };
}

export function History({ experiment, sample, query, pick, className }) {
  const byTime = query.get("x") === "time";
  const all = query.get("all") === "1";
  const yLog = query.get("ylog") === "1";
  const measure = useMemo(() => measureOf(experiment, sample), [experiment, sample]);
  const columns = useMemo(() => columnsOf(experiment, sample, measure, byTime), [experiment, sample, byTime]);
  const inner = all || yLog ? null : innerRange([...columns.done, ...columns.bestSoFar, ...columns.pruned]);
  const outside = inner ? columns.done.filter((each) => each !== null && (each < inner[0] || each > inner[1])).length : 0;
  const series = [
    { label: "PRUNED", kind: "hollow", colour: "PRUNED", values: columns.pruned, size: 4 },
    { label: "constraint broken", kind: "hollow", colour: "QUEUED", values: columns.broken, size: 4 },
    { label: "DONE", kind: "points", colour: "DONE", values: columns.done },
  ];
  if (experiment.objectives.length) series.push({ label: "best so far", kind: "steps", colour: "text", values: columns.bestSoFar });
  const positive = (list) => list.map((each) => (each !== null && each > 0 ? each : null));
  const shown = yLog ? series.map((each) => ({ ...each, values: positive(each.values) })) : series;
  const tip = (index) => {
    const k = columns.order[index];
    const words = Object.entries(sample.hyperparameters).filter(([, list]) => list[k] !== null).slice(0, 8).map(([name, list]) => `${name} ${value(list[k])}`);
    return [`${sample.ids[k]}  ${sample.status[k]}  ${measure.name} ${value(measure.values[k])}`, ...words].join("\n");
  };
  const text = `${sample.n < sample.of ? `${count(columns.x.length)} of ` : ""}${count(sample.of)} jobs that have ended${
    columns.best === null || !experiment.objectives.length ? "" : `; best ${value(columns.best)}`}${columns.crashes.length ? "; CRASHED as ticks below" : ""}${
    outside ? `; ${outside} lie outside` : ""}`;
  const press = (name, on) => () => setQuery({ [name]: on ? null : name === "x" ? "time" : 1 });
  const controls = html`<button type="button" class="small" aria-pressed=${byTime} onClick=${press("x", byTime)}>by time</button>
    <button type="button" class="small" aria-pressed=${yLog} onClick=${press("ylog", yLog)}>log</button>
    <button type="button" class="small" aria-pressed=${all} onClick=${press("all", all)}>all values</button>`;
  return html`<${Chart} title=${`History of ${measure.name}`} text=${text} className=${className} controls=${controls}
      table=${() => ({ header: ["job", "status", measure.name], rows: columns.order.map((k) => [sample.ids[k], sample.status[k], measure.values[k]]) })}>
    <${Plot} x=${columns.x} series=${shown} ids=${columns.ids} crashes=${columns.crashes} tip=${tip} pick=${pick} xTime=${byTime} yLog=${yLog}
      yRange=${inner} xLabel=${byTime ? "time" : "jobs ended"} xWhole=${!byTime} yLabel=${measure.name} /><//>`;
}
