/** Axes of parallel coordinates: where a value lies, from 0 (below) to 1 (above). */
import { short, value } from "../format.js";
import { asNumber, innerRange, isNumeric, measureOf, varied } from "./data.js";

/** Where the line of a job goes that has no such value. */
export const MISSING = -0.11;

/**
 * @returns {{name, label, places: number[], low, high, log, ticks: [number, string][], inverse: (place: number) => any}}
 */
function numericAxis(name, values, log) {
  const found = values.map(asNumber).filter((each) => each !== null && (!log || each > 0));
  const into = (each) => (log ? Math.log(each) : each);
  const low = into(Math.min(...found));
  const high = into(Math.max(...found));
  const span = high - low || 1;
  const place = (each) => (asNumber(each) === null || (log && each <= 0) ? MISSING : Math.min(1, Math.max(0, (into(each) - low) / span)));
  const inverse = (at) => (log ? Math.exp(low + at * span) : low + at * span);
  return { name, label: log ? `${name} (log)` : name, places: values.map(place), inverse, ticks: [[0, value(inverse(0), 4)], [1, value(inverse(1), 4)]] };
}

function choiceAxis(name, values, choices) {
  const seen = new Set(values.filter((each) => each !== null).map((each) => value(each)));
  const names = [...(choices || []).map((each) => value(each)).filter((each) => seen.delete(each)), ...[...seen].sort()];
  const at = (place) => (names.length === 1 ? 0.5 : place / (names.length - 1));
  const ticks = names.slice(0, 12).map((each, k) => [at(k), short(each, 14)]);
  const places = values.map((each) => (each === null ? MISSING : at(names.indexOf(value(each)))));
  return { name, label: name, places, ticks, inverse: (place) => names[Math.round(place * (names.length - 1))] };
}

/** The axes of a sample: hyperparameters, those that matter most next to the objective, then the objectives. */
export function axesOf(experiment, sample, order, allValues) {
  const fields = varied(experiment, sample);
  fields.sort((one, other) => order.indexOf(other.name) - order.indexOf(one.name));
  const axes = fields.map((field) => (isNumeric(field) ? numericAxis(field.name, field.values, field.log) : choiceAxis(field.name, field.values, field.choices)));
  const objectives = experiment.objectives.length || 1;
  for (let k = 0; k < objectives; k += 1) {
    const measure = measureOf(experiment, sample, k);
    if (!measure.values.some((each) => each !== null)) continue;
    const range = allValues ? null : innerRange(measure.values);
    const clipped = range ? measure.values.map((each) => (each === null ? null : Math.min(range[1], Math.max(range[0], each)))) : measure.values;
    axes.push({ ...numericAxis(measure.name, clipped, false), isObjective: true });
  }
  return axes;
}
