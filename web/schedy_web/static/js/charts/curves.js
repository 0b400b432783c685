/** Learning curves: of the best jobs and those that run, or of chosen ones. */
import { setQuery } from "../address.js";
import { value } from "../format.js";
import { html, useMemo } from "../vendor.js";
import { Chart } from "./frame.js";
import { Plot } from "./plot.js";

/** The name of the values to show: the one asked for, the objective, or the first one. */
function nameOf(answer, experiment, asked) {
  if (answer.names.includes(asked)) return asked;
  const objective = experiment.objectives[0]?.name;
  return answer.names.includes(objective) ? objective : answer.names[0];
}

/** Curves on one x axis: the union of their steps. */
export function alignedCurves(curves) {
  const steps = [...new Set(curves.flatMap((curve) => curve.steps))].sort((one, other) => one - other);
  const place = new Map(steps.map((step, k) => [step, k]));
  const columns = curves.map((curve) => {
    const column = steps.map(() => null);
    curve.steps.forEach((step, k) => {
      column[place.get(step)] = typeof curve.values[k] === "number" ? curve.values[k] : null;
    });
    return column;
  });
  return { steps, columns };
}

/** Whether there is a curve to be seen: not one point alone, unless its job still runs. */
export function hasSteps(answer) {
  return (answer?.curves || []).some((curve) => curve.steps.length > 1 || curve.status === "RUNNING");
}

export function Curves({ experiment, answer, query, className, title = "Learning curves: best and running", styles = null }) {
  const name = nameOf(answer, experiment, query.get("curve"));
  const curves = useMemo(() => answer.curves.filter((curve) => curve.name === name), [answer, name]);
  const { steps, columns } = useMemo(() => alignedCurves(curves), [curves]);
  const xLog = query.get("curvelog") === "1";
  const series = curves.map((curve, k) => ({ label: curve.id, kind: "line", colour: curve.status || "DONE", ...styles?.[curve.id], values: columns[k] }));
  const controls = html`<select aria-label="Values" value=${name} onChange=${(event) => setQuery({ curve: event.target.value })}>
      ${answer.names.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select>
    <button type="button" class="small" aria-pressed=${xLog} onClick=${() => setQuery({ curvelog: xLog ? null : 1 })}>log</button>`;
  const ends = curves.map((curve) => `${curve.id} ${value(curve.values.at(-1))}`);
  return html`<${Chart} title=${title} className=${className} controls=${controls} text=${`${curves.length === 1 ? "1 curve" : `${curves.length} curves`} of ${name}: ${ends.slice(0, 12).join(", ")}`}
      table=${() => ({ header: ["step", ...curves.map((curve) => curve.id)], rows: steps.map((step, k) => [step, ...columns.map((column) => column[k])]) })}>
    <${Plot} x=${steps} series=${series} xLabel="step" xWhole=${steps.every(Number.isInteger)} yLabel=${name} yLog=${xLog} /><//>`;
}
