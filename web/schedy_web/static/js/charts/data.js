/** Jobs of a sample as charts take them: columns of numbers, colours, ranges. */

/** A colour of the theme. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const SCALE = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [220, 200, 40]];

/** A colour between dark violet (0) and yellow (1), which the colour-blind can read. */
export function scaleColour(place, alpha = 1) {
  const at = Math.min(0.9999, Math.max(0, place)) * (SCALE.length - 1);
  const low = Math.floor(at);
  const mixed = SCALE[low].map((part, k) => Math.round(part + (SCALE[low + 1][k] - part) * (at - low)));
  return `rgb(${mixed.join(" ")} / ${alpha})`;
}

const LINES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f7d00", "#7a7f85"];

/** The colour of one of several lines, and its dashes once the colours are used up. From Okabe and Ito. */
export function lineStyle(place) {
  return { stroke: LINES[place % LINES.length], dash: place < LINES.length ? undefined : [4 + 4 * Math.floor(place / LINES.length), 4] };
}

export function asNumber(given) {
  return typeof given === "number" && Number.isFinite(given) ? given : null;
}

/**
 * What a job is judged by: an objective, or its quality where there is none.
 * @returns {{name: string, minimize: boolean, values: (number|null)[]}}
 */
export function measureOf(experiment, sample, place = 0) {
  const objective = experiment.objectives[place];
  if (!objective) return { name: "quality", minimize: false, values: sample.quality.map(asNumber) };
  const found = sample.results[objective.name] || [];
  const isOnly = experiment.objectives.length === 1;
  const values = sample.ids.map((_id, k) => {
    const own = asNumber(found[k]);
    return own === null && isOnly && sample.status[k] === "PRUNED" ? asNumber(sample.quality[k]) : own;
  });
  return { name: objective.name, minimize: objective.direction === "minimize", values };
}

/** Tell for each job whether it keeps all constraints. */
export function keepsOf(experiment, sample) {
  return sample.ids.map((_id, k) => experiment.constraints.every(({ name, at_most: most, at_least: least }) => {
    const each = asNumber(sample.results[name]?.[k]);
    return each !== null && (most === null || each <= most) && (least === null || each >= least);
  }));
}

/**
 * The best value so far, for each job of an order (places in the sample).
 * @param {number[]} order
 * @param {{values: (number|null)[], minimize: boolean}} measure
 * @param {boolean[]} keeps whether a job keeps all constraints
 */
export function bestSoFar(order, { values, minimize }, sample, keeps) {
  let best = null;
  return order.map((k) => {
    const each = values[k];
    const counts = sample.status[k] === "DONE" && keeps[k] && each !== null;
    if (counts && (best === null || (minimize ? each < best : each > best))) best = each;
    return best;
  });
}

/** The values from the 1st to the 99th percentile, with a margin; null where there are none. */
export function innerRange(values, share = 0.01) {
  const sorted = values.filter((each) => each !== null).sort((one, other) => one - other);
  if (!sorted.length) return null;
  const low = sorted[Math.floor(share * (sorted.length - 1))];
  const high = sorted[Math.ceil((1 - share) * (sorted.length - 1))];
  const margin = (high - low || Math.abs(high) || 1) * 0.05;
  return [low - margin, high + margin];
}

/** The place of each job by its measure, from 0 (the best) to 1; null where it has none. */
export function ranksOf({ values, minimize }) {
  const order = values.map((each, k) => [each, k]).filter(([each]) => each !== null).sort(([one], [other]) => (minimize ? one - other : other - one));
  const ranks = values.map(() => null);
  order.forEach(([, k], place) => {
    ranks[k] = order.length === 1 ? 0 : place / (order.length - 1);
  });
  return ranks;
}

/** The hyperparameters that have more than one value in the sample, with their values. */
export function varied(experiment, sample) {
  const known = new Map(experiment.fields.filter((each) => each.source === "hyperparameter").map((each) => [each.field, each]));
  return Object.entries(sample.hyperparameters)
    .filter(([, values]) => values.some((each) => each !== values[0] && JSON.stringify(each) !== JSON.stringify(values[0])))
    .map(([name, values]) => ({ log: false, kind: "number", ...known.get(name), name, values }));
}

/** Tell whether values are numbers, so that they have an order. */
export function isNumeric(field) {
  return field.kind !== "choice" && field.values.every((each) => each === null || asNumber(each) !== null);
}

const hoverListeners = new Set();
let hovered = null;

/** The job under the pointer, in whatever chart: all charts show it. */
export const hover = {
  get id() {
    return hovered;
  },
  set(id) {
    if (id === hovered) return;
    hovered = id;
    for (const listener of hoverListeners) listener(id);
  },
  listen(listener) {
    hoverListeners.add(listener);
    return () => hoverListeners.delete(listener);
  },
};
