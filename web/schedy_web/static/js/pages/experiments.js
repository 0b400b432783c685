/** Two to twenty experiments beside each other, and their best value so far over jobs, time, or the time of workers. */
import { Link, experimentAddress, jobAddress, setQuery } from "../address.js";
import { asNumber, bestSoFar, keepsOf, lineStyle, measureOf } from "../charts/data.js";
import { Chart } from "../charts/frame.js";
import { Plot } from "../charts/plot.js";
import { count, quoted, seconds, value } from "../format.js";
import { useAnswers } from "../hooks.js";
import { Command, Notice, Pending } from "../parts/basic.js";
import { Beside } from "../parts/beside.js";
import { html, useMemo } from "../vendor.js";

const MOST = 20;
const EVEN = 500;
const UNITS = [["hours", 3600], ["minutes", 60], ["seconds", 1]];
const OVER = {
  jobs: { button: "jobs", label: () => "jobs ended" },
  time: { button: "time", label: (unit) => `${unit} since the first job began` },
  work: { button: "worker time", label: (unit) => `worker ${unit}` },
};

/**
 * The course of an experiment: at each job of the sample, in the order of their ends, how many had ended (`jobs`), the seconds since the first
 * began (`time`), those that workers had spent (`work`: each job of the sample stands for those since the one before), and the best value.
 */
function courseOf(experiment, sample) {
  const order = sample.ids.map((_id, k) => k).filter((k) => sample.ended[k] !== null).sort((one, other) => sample.ended[one] - sample.ended[other]);
  const at = (text) => Date.parse(text) / 1000;
  const began = Math.min(...order.filter((k) => sample.started_at[k]).map((k) => at(sample.started_at[k])));
  let work = 0;
  let before = 0;
  let latest = 0;
  const points = order.map((k) => {
    const took = sample.started_at[k] && sample.finished_at[k] ? Math.max(0, at(sample.finished_at[k]) - at(sample.started_at[k])) : 0;
    work += took * (sample.ended[k] - before);
    before = sample.ended[k];
    latest = Math.max(latest, sample.finished_at[k] ? at(sample.finished_at[k]) - began : 0);
    return { jobs: before, time: latest, work };
  });
  const bests = bestSoFar(order, measureOf(experiment, sample), sample, keepsOf(experiment, sample));
  return { points, bests, end: points.at(-1) ?? { jobs: 0, time: 0, work: 0 } };
}

/** The courses on one x axis: each holds its best from where it was found to where the experiment stands. */
function aligned(courses, over) {
  const steps = courses.map(({ points, bests }) => points.map((point, k) => [point[over], bests[k]])
    .filter(([, best], k) => best !== null && (best !== bests[k - 1] || k === points.length - 1)));
  const x = [...new Set(steps.flatMap((each) => each.map(([place]) => place)))].sort((one, other) => one - other);
  const columns = steps.map((each) => {
    let next = 0;
    return x.map((place) => {
      while (next < each.length && each[next][0] <= place) next += 1;
      const isWithin = next > 0 && place <= each.at(-1)[0];
      return isWithin ? each[next - 1][1] : null;
    });
  });
  return { x, columns };
}

function Courses({ experiments, courses, styles, query }) {
  const over = OVER[query.get("x")] ? query.get("x") : "jobs";
  const yLog = query.get("ylog") === "1";
  const { x, columns } = useMemo(() => aligned(courses, over), [courses, over]);
  const [unit, size] = over === "jobs" ? ["", 1] : UNITS.find(([, length]) => (x.at(-1) ?? 0) >= 2 * length) ?? UNITS.at(-1);
  const objective = experiments[0].objectives[0].name;
  const series = experiments.map((each, k) => ({ label: each.name, kind: "steps", ...styles[k], values: yLog ? columns[k].map((one) => (one > 0 ? one : null)) : columns[k] }));
  const controls = html`${Object.entries(OVER).map(([name, { button }]) => html`<button type="button" class="small" key=${name} aria-pressed=${over === name}
      onClick=${() => setQuery({ x: name === "jobs" ? null : name })}>${button}</button>`)}
    <button type="button" class="small" aria-pressed=${yLog} onClick=${() => setQuery({ ylog: yLog ? null : 1 })}>log</button>`;
  const text = experiments.map((each, k) => `${each.name} ${value(courses[k].bests.at(-1)) || "-"}`).join(", ");
  const shownX = x.map((each) => each / size);
  return html`<${Chart} title=${`Best ${objective} so far`} controls=${controls} text=${text}
      table=${() => ({ header: [over, ...experiments.map((each) => each.name)], rows: shownX.map((each, place) => [each, ...columns.map((column) => column[place])]) })}>
    <${Plot} x=${shownX} series=${series} xLabel=${OVER[over].label(unit)} xWhole=${over === "jobs"} yLabel=${objective} yLog=${yLog} /><//>`;
}

function rowsOf(experiments, courses) {
  const bests = experiments.map((each) => each.best);
  const names = [...new Set(bests.flatMap((best) => Object.keys(best?.hyperparameters ?? {})))];
  const of = (name, take, more = {}) => ({ name, values: experiments.map(take), ...more });
  return [
    of("best", (each) => asNumber(each.best?.value), { differs: true }),
    of("its job", (each) => each.best?.id ?? null, { text: (id, k) => (id === null ? "" : html`<${Link} to=${jobAddress(experiments[k], id)}>${id}<//>`) }),
    ...names.map((name) => ({ name, values: bests.map((best) => best?.hyperparameters[name] ?? null) })),
    of("algorithm", (each) => each.scheduler),
    of("jobs ended", (each) => each.ended, { text: count }),
    of("CRASHED", (each) => each.counts.CRASHED, { text: count }),
    of("time of a job", (each) => each.mean_seconds, { text: seconds }),
    of("time", (_each, k) => courses[k].end.time, { text: seconds }),
    of("worker time", (_each, k) => courses[k].end.work, { text: seconds }),
  ];
}

const goalOf = ({ objectives: [first] }) => (first ? `${first.direction}s ${first.name}` : "has no objective");

export function Experiments({ query }) {
  const numbers = [...new Set((query.get("e") || "").match(/\d+/g))].slice(0, MOST);
  const details = useAnswers(numbers.map((number) => `experiments/${number}`), MOST);
  const samples = useAnswers(numbers.map((number) => `experiments/${number}/sample?even=${EVEN}`), MOST);
  const isWhole = details.isWhole && samples.isWhole;
  const courses = useMemo(() => (isWhole ? details.data.map((each, k) => courseOf(each, samples.data[k])) : []), [isWhole, ...samples.data, ...details.data]);
  if (numbers.length < 2) return html`<h1>Compare experiments</h1><${Notice} kind="warn">Select two or more in the <${Link} to="/">list of experiments<//>, and press Compare.<//>`;
  const error = details.error ?? samples.error;
  if (error) return html`<h1>Compare experiments</h1><${Notice} kind="error">${error.message}<//>`;
  if (!isWhole) return html`<${Pending} answer=${{}} />`;
  const experiments = details.data;
  const styles = experiments.map((_each, k) => lineStyle(k));
  const columns = experiments.map((each, k) => ({ key: numbers[k], name: each.name, style: styles[k], head: html`<${Link} to=${experimentAddress(each)}>${each.name}<//>`, below: html`<span class="faint">${each.state}</span>` }));
  const others = experiments.filter((each) => goalOf(each) !== goalOf(experiments[0]));
  return html`<h1>Compare experiments</h1>
    ${others.length ? html`<${Notice} kind="warn">Their goals differ, so there is no chart of the best so far: ${experiments[0].name} ${goalOf(experiments[0])}, ${others[0].name} ${goalOf(others[0])}.<//>` : null}
    ${others.length || !experiments[0].objectives.length ? null : html`<${Courses} experiments=${experiments} courses=${courses} styles=${styles} query=${query} />`}
    <${Beside} title=${`${experiments.length} experiments`} label="Experiments beside each other" columns=${columns} rows=${rowsOf(experiments, courses)} query=${query} />
    <${Command} text=${`schedy compare ${experiments.map((each) => quoted(each.name)).join(" ")}`} />`;
}
