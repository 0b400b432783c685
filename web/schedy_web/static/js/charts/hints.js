/** What the charts suggest, in words. */
import { value } from "../format.js";
import { asNumber, measureOf, varied } from "./data.js";

const SHARE = 0.05;
const FEWEST_BEST = 5;

/** The places, from 0 to 1 between its bounds, of a hyperparameter's values in some jobs; null without bounds. */
function placesIn(field, jobs) {
  const { low, high, log, values } = field;
  if (typeof low !== "number" || typeof high !== "number" || low >= high || (log && low <= 0)) return null;
  const into = (each) => (log ? Math.log(each) : each);
  const places = jobs.map((k) => asNumber(values[k])).filter((each) => each !== null).map((each) => (into(each) - into(low)) / (into(high) - into(low)));
  return places.length === jobs.length ? places : null;
}

/** Hints that a range is too narrow: the best twentieth of the jobs lies at one of its ends. */
export function hintsOf(experiment, sample) {
  if (experiment.objectives.length !== 1) return [];
  const { values, minimize } = measureOf(experiment, sample);
  const done = sample.ids.map((_id, k) => k).filter((k) => sample.status[k] === "DONE" && values[k] !== null)
    .sort((one, other) => (minimize ? values[one] - values[other] : values[other] - values[one]));
  const best = done.slice(0, Math.floor(done.length * SHARE));
  if (best.length < FEWEST_BEST) return [];
  return varied(experiment, sample).flatMap((field) => {
    const places = placesIn(field, best);
    if (!places) return [];
    const end = places.every((each) => each < SHARE) ? ["low", field.low] : places.every((each) => each > 1 - SHARE) ? ["high", field.high] : null;
    return end ? [`The best ${best.length} jobs lie at the ${end[0]} end of ${field.name} (${value(end[1])}): a wider range may be better.`] : [];
  });
}
