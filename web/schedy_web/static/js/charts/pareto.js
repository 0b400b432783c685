/** Two objectives: all jobs, and those that no other beats. */
import { setQuery } from "../address.js";
import { value } from "../format.js";
import { html, useMemo } from "../vendor.js";
import { keepsOf, measureOf } from "./data.js";
import { Chart } from "./frame.js";
import { Plot } from "./plot.js";

/** Tell for each of the points, sorted by x, whether none is better in both. */
export function frontOf(points, [xMinimize, yMinimize]) {
  const sorted = [...points].sort((one, other) => (xMinimize ? one.x - other.x : other.x - one.x) || (yMinimize ? one.y - other.y : other.y - one.y));
  let best = null;
  const front = new Set();
  for (const point of sorted) {
    if (best === null || (yMinimize ? point.y < best : point.y > best)) {
      best = point.y;
      front.add(point.job);
    }
  }
  return front;
}

export function Pareto({ experiment, sample, query, pick, className }) {
  const last = experiment.objectives.length - 1;
  const chosen = (name, fallback) => Math.min(last, Math.max(0, Number(query.get(name) ?? fallback) || 0));
  const [xPlace, yPlace] = [chosen("px", 0), chosen("py", 1)];
  const columns = useMemo(() => {
    const [one, other] = [measureOf(experiment, sample, xPlace), measureOf(experiment, sample, yPlace)];
    const keeps = keepsOf(experiment, sample);
    const order = sample.ids.map((_id, k) => k).filter((k) => one.values[k] !== null && other.values[k] !== null).sort((a, b) => one.values[a] - one.values[b]);
    const counted = order.filter((k) => keeps[k] && sample.status[k] === "DONE");
    const front = frontOf(counted.map((k) => ({ job: k, x: one.values[k], y: other.values[k] })), [one.minimize, other.minimize]);
    const with_ = (test) => order.map((k) => (test(k) ? other.values[k] : null));
    return { one, other, order, front, x: order.map((k) => one.values[k]), ids: order.map((k) => sample.ids[k]), onFront: with_((k) => front.has(k)),
      done: with_((k) => keeps[k] && !front.has(k)), broken: with_((k) => !keeps[k]) };
  }, [experiment, sample, xPlace, yPlace]);
  const { one, other, order, front } = columns;
  const series = [
    { label: "constraint broken", kind: "hollow", colour: "QUEUED", values: columns.broken, size: 4 },
    { label: "DONE", kind: "points", colour: "DONE", values: columns.done, size: 4 },
    { label: "front", kind: "points", colour: "accent", values: columns.onFront, size: 8 },
  ];
  const axis = (name, place) => html`<select aria-label=${name} value=${place} onChange=${(event) => setQuery({ [name]: event.target.value })}>
    ${experiment.objectives.map((each, k) => html`<option key=${k} value=${k}>${each.name}</option>`)}</select>`;
  const tip = (index) => `${sample.ids[order[index]]}\n${one.name} ${value(one.values[order[index]])}\n${other.name} ${value(other.values[order[index]])}`;
  return html`<${Chart} title="Pareto front" className=${className} text=${`${front.size} of ${order.length} jobs are beaten by none in both`}
      controls=${last > 1 ? html`${axis("px", xPlace)}${axis("py", yPlace)}` : null}>
    <${Plot} x=${columns.x} series=${series} ids=${columns.ids} tip=${tip} pick=${pick} xLabel=${one.name} yLabel=${other.name} /><//>`;
}
