/** The objective over one hyperparameter at a time. */
import { value } from "../format.js";
import { html, useMemo } from "../vendor.js";
import { asNumber, innerRange, isNumeric, measureOf, varied } from "./data.js";
import { Chart } from "./frame.js";
import { Plot } from "./plot.js";

const SPREAD = 0.5;

/** A place beside another one, the same for a job each time: points of one text must not hide each other. */
function beside(place, id) {
  const number = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 997, 7);
  return place + (number / 997 - 0.5) * SPREAD;
}

/** Places of values on the axis: numbers as they are, others by the order in which they first came. */
function placesOf(field, ids) {
  if (isNumeric(field)) return { places: field.values.map(asNumber), names: null };
  const seen = new Set(field.values.filter((each) => each !== null).map((each) => value(each)));
  const names = [...(field.choices || []).map((each) => value(each)).filter((each) => seen.delete(each)), ...seen];
  return { places: field.values.map((each, k) => (each === null ? null : beside(names.indexOf(value(each)), ids[k]))), names };
}

function Slice({ experiment, sample, field, pick, className }) {
  const columns = useMemo(() => {
    const measure = measureOf(experiment, sample);
    const { places, names } = placesOf(field, sample.ids);
    const order = sample.ids.map((_id, k) => k).filter((k) => places[k] !== null && measure.values[k] !== null && (!field.log || places[k] > 0))
      .sort((one, other) => places[one] - places[other]);
    const with_ = (status) => order.map((k) => (sample.status[k] === status ? measure.values[k] : null));
    return { measure, names, order, x: order.map((k) => places[k]), ids: order.map((k) => sample.ids[k]), done: with_("DONE"), pruned: with_("PRUNED") };
  }, [experiment, sample, field.name]);
  const { measure, order, names } = columns;
  const series = [
    { label: "PRUNED", kind: "hollow", colour: "PRUNED", values: columns.pruned, size: 4 },
    { label: "DONE", kind: "points", colour: "DONE", values: columns.done, size: 4 },
  ];
  const text = `${order.length} jobs${field.log ? ", logarithmic" : ""}`;
  const tip = (index) => {
    const k = order[index];
    return `${sample.ids[k]}  ${sample.status[k]}\n${field.name} ${value(field.values[k])}\n${measure.name} ${value(measure.values[k])}`;
  };
  return html`<${Chart} title=${field.name} text=${text} className=${className}>
    <${Plot} x=${columns.x} series=${series} ids=${columns.ids} tip=${tip} pick=${pick} xLog=${field.log && !names} xNames=${names} height=${170}
      yRange=${innerRange([...columns.done, ...columns.pruned])} xLabel=${field.name} yLabel=${measure.name} /><//>`;
}

/** The slices of the hyperparameters that matter most, or of the one that was chosen. */
export function Slices({ experiment, sample, found, chosen, pick }) {
  const fields = varied(experiment, sample);
  const order = found.list.map((each) => each.name);
  const sorted = [...fields].sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
  const shown = [...sorted.filter((each) => each.name === chosen), ...sorted.filter((each) => each.name !== chosen)].slice(0, 4);
  return shown.map((field) => html`<${Slice} key=${field.name} experiment=${experiment} sample=${sample} field=${field} pick=${pick}
    className="w6" />`);
}
