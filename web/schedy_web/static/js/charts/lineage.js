/** Population based training: each generation, and which member went on from which. */
import { setQuery } from "../address.js";
import { value } from "../format.js";
import { html, useMemo } from "../vendor.js";
import { asNumber, measureOf } from "./data.js";
import { Chart } from "./frame.js";
import { Plot } from "./plot.js";

/** Tell whether jobs of the sample belong to generations. */
export function hasLineage(sample) {
  return sample.generation.some((each) => each !== null);
}

export function Lineage({ experiment, sample, query, pick, className }) {
  const measure = measureOf(experiment, sample);
  const names = Object.keys(sample.hyperparameters).filter((name) => sample.hyperparameters[name].some((each) => asNumber(each) !== null));
  const chosen = names.includes(query.get("lineage")) ? query.get("lineage") : null;
  const drawn = useMemo(() => {
    const values = chosen === null ? measure.values : sample.hyperparameters[chosen].map(asNumber);
    const order = sample.ids.map((_id, k) => k).filter((k) => sample.generation[k] !== null && values[k] !== null)
      .sort((one, other) => sample.generation[one] - sample.generation[other]);
    const place = new Map(order.map((k, at) => [sample.ids[k], at]));
    const links = order.map((k, at) => [place.get(sample.parent[k]), at]).filter(([from]) => from !== undefined);
    const of = (test) => order.map((k) => (test(k) ? values[k] : null));
    return { order, links, x: order.map((k) => sample.generation[k]), ids: order.map((k) => sample.ids[k]), values: order.map((k) => values[k]),
      done: of((k) => sample.status[k] === "DONE"), rest: of((k) => sample.status[k] !== "DONE") };
  }, [sample, experiment, chosen]);
  const series = [{ label: "DONE", kind: "points", colour: "DONE", values: drawn.done }, { label: "others", kind: "hollow", colour: "PRUNED", values: drawn.rest }];
  const shown = chosen ?? measure.name;
  const controls = html`<select aria-label="Values by generation" value=${chosen ?? ""} onChange=${(event) => setQuery({ lineage: event.target.value })}>
    <option value="">${measure.name}</option>${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select>`;
  const generations = new Set(drawn.x).size;
  const tip = (at) => {
    const k = drawn.order[at];
    return `${sample.ids[k]}, generation ${sample.generation[k]}${sample.parent[k] ? `\nfrom ${sample.parent[k]}` : ""}\n${shown} ${value(drawn.values[at])}`;
  };
  return html`<${Chart} title="Generations" className=${className} controls=${controls}
      text=${`${shown} of ${drawn.order.length} jobs in ${generations} generations; a line leads from the job that another went on from`}
      table=${() => ({ header: ["job", "generation", "from", shown], rows: drawn.order.map((k, at) => [sample.ids[k], sample.generation[k], sample.parent[k], drawn.values[at]]) })}>
    <${Plot} x=${drawn.x} series=${series} ids=${drawn.ids} links=${drawn.links} linked=${drawn.values} tip=${tip} pick=${pick} xLabel="generation" yLabel=${shown} xWhole=${true} /><//>`;
}
