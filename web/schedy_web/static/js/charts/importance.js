/**
 * How much each hyperparameter alone says about the objective: the correlation ratio of the objective's ranks over groups
 * of its values (ten quantile groups of numbers, or the choices), adjusted for the number of groups.
 */
import { html, useMemo } from "../vendor.js";
import { asNumber, isNumeric, measureOf, ranksOf, varied } from "./data.js";
import { Chart } from "./frame.js";

const GROUPS = 10;
const FEWEST = 20;

function groupsOf(field, chosen) {
  const values = chosen.map((k) => field.values[k]);
  if (!isNumeric(field) || new Set(values).size <= GROUPS) return values.map((each) => JSON.stringify(each));
  const sorted = values.map(asNumber).filter((each) => each !== null).sort((one, other) => one - other);
  const edges = Array.from({ length: GROUPS - 1 }, (_each, k) => sorted[Math.floor(((k + 1) * sorted.length) / GROUPS)]);
  return values.map((each) => (each === null ? "none" : edges.filter((edge) => each >= edge).length));
}

/** The adjusted share of the variance of `ranks` that the groups explain, 0 at least. */
export function share(groups, ranks) {
  const total = ranks.length;
  const mean = ranks.reduce((sum, each) => sum + each, 0) / total;
  const sums = new Map();
  groups.forEach((group, k) => {
    const [sum, n] = sums.get(group) || [0, 0];
    sums.set(group, [sum + ranks[k], n + 1]);
  });
  const between = [...sums.values()].reduce((sum, [each, n]) => sum + n * (each / n - mean) ** 2, 0);
  const whole = ranks.reduce((sum, each) => sum + (each - mean) ** 2, 0);
  if (!whole || total <= sums.size) return 0;
  const plain = between / whole;
  return Math.max(0, 1 - ((1 - plain) * (total - 1)) / (total - sums.size));
}

/** The hyperparameters with their shares, the greatest first; none under twenty jobs. */
export function importances(experiment, sample) {
  const measure = measureOf(experiment, sample);
  const chosen = sample.ids.map((_id, k) => k).filter((k) => sample.status[k] === "DONE" && measure.values[k] !== null);
  if (chosen.length < FEWEST) return { jobs: chosen.length, list: [] };
  const ranks = ranksOf({ values: chosen.map((k) => measure.values[k]), minimize: measure.minimize });
  const list = varied(experiment, sample).map((field) => ({ name: field.name, share: share(groupsOf(field, chosen), ranks) }));
  return { jobs: chosen.length, list: list.sort((one, other) => other.share - one.share) };
}

export function Importance({ experiment, sample, className, choose, found }) {
  const { jobs, list } = found;
  const text = list.length ? `Share of the variance of the ranks that each explains alone, of ${jobs} DONE jobs; interactions are not in it.`
    : `Shown from ${FEWEST} DONE jobs on; there are ${jobs}.`;
  return html`<${Chart} title=${`What matters for ${experiment.objectives[0]?.name || "quality"}, alone`} text=${text} className=${className}>
    <div class="bars">${list.slice(0, 12).map(({ name, share: part }) => html`
      <button type="button" class="plain" title="its slice" onClick=${() => choose(name)}>${name}</button>
      <div class="track"><span style=${{ width: `${100 * part}%` }}></span></div><span class="number">${part.toFixed(2)}</span>`)}</div><//>`;
}

/** The importances of a sample, computed once. */
export function useImportances(experiment, sample) {
  return useMemo(() => (sample ? importances(experiment, sample) : { jobs: 0, list: [] }), [experiment, sample]);
}
