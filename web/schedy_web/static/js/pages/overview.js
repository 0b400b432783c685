/** All experiments: do they run, how far are they, what is best, what goes wrong. */
import { Link, experimentAddress, jobAddress, setQuery } from "../address.js";
import { count, number, seconds, value } from "../format.js";
import { useAnswer, usePulse, useRemembered } from "../hooks.js";
import { Bar, Command, Notice, Panel, Pending, When } from "../parts/basic.js";
import { Events } from "../parts/events.js";
import { Trend } from "../parts/trend.js";
import { html, useEffect, useState } from "../vendor.js";
import { AddButton } from "../actions/add.js";

const TRENDS_MS = 6000; // longer than the server keeps an answer
const STATES = ["running", "waiting", "paused", "done", "problem"];

const SORTS = {
  number: (one) => one.number,
  name: (one) => one.name.toLowerCase(),
  state: (one) => STATES.indexOf(one.state),
  ended: (one) => one.ended,
  left: (one) => one.seconds_left ?? Infinity,
  last: (one) => one.last_ended_at ?? "",
};

function Totals() {
  const { data } = usePulse();
  if (!data) return null;
  const { totals, workers, ended_per_minute: pace } = data;
  const items = [["RUNNING", totals.RUNNING], ["QUEUED", totals.QUEUED], ["DONE", totals.DONE], ["PRUNED", totals.PRUNED], ["CRASHED", totals.CRASHED]];
  const bad = ["silent", "unhealthy"].filter((state) => workers[state]).map((state) => `${workers[state]} ${state}`);
  return html`<div class="totals">
    ${items.map(([name, jobs]) => html`<div key=${name}><div class=${`big ${name}`}>${count(jobs)}</div><div class="faint">${name}</div></div>`)}
    ${pace === null ? null : html`<div><div class="big">${number(pace, 3)}</div><div class="faint">end in a minute</div></div>`}
    <div><div class="big">${count(workers.alive || 0)}</div><div class="faint">workers alive, ${workers.busy} busy${
      bad.length ? html` <${Link} to="/workers" class="CRASHED">${bad.join(", ")}<//>` : ""}</div></div>
  </div>`;
}

function Best({ experiment }) {
  const { best, objectives } = experiment;
  if (!best) return html`<span class="faint">-</span>`;
  return html`<span class="faint">${objectives[0].name}</span> <${Link} to=${jobAddress(experiment, best.id)}>${value(best.value)}<//>`;
}

function Row({ experiment, trend, starred, star, chosen, choose }) {
  const of = experiment.open_jobs === null ? null : experiment.ended + experiment.open_jobs;
  return html`<tr>
    <td><input type="checkbox" class="narrow-hide" aria-label=${`Select ${experiment.name}`} checked=${chosen} onChange=${choose} />
      <button type="button" class="plain" aria-pressed=${starred} aria-label=${`Keep ${experiment.name} on top`} onClick=${star}>${starred ? "★" : "☆"}</button>
      <${Link} to=${experimentAddress(experiment)}>${experiment.name}<//></td>
    <td class="faint narrow-hide">${experiment.scheduler}</td>
    <td class=${{ problem: "CRASHED", running: "RUNNING", done: "DONE" }[experiment.state] || "faint"} title=${experiment.state_text}><span class="narrow-hide">${experiment.state_text}</span><span class="narrow-only">${experiment.state}</span></td>
    <td><div class="row"><div class="grow"><${Bar} counts=${experiment.counts} of=${of} /></div>
      <span class="number">${count(experiment.ended)}${of ? `/${count(of)}` : ""}</span></div></td>
    <td class="number">${seconds(experiment.seconds_left)}</td>
    <td><${Best} experiment=${experiment} /></td>
    <td class="narrow-hide"><${Trend} points=${trend} ended=${experiment.ended} name=${experiment.objectives[0]?.name} /></td>
    <td class="narrow-hide faint"><${When} time=${experiment.last_ended_at} /></td>
    <td class="narrow-hide faint"><${When} time=${experiment.created_at} /></td>
  </tr>`;
}

function Heading({ name, field, sort, className = "" }) {
  const isUp = sort === field;
  const state = isUp ? "ascending" : sort === `-${field}` ? "descending" : undefined;
  return html`<th scope="col" class=${className} aria-sort=${state}><button type="button"
    onClick=${() => setQuery({ sort: isUp ? `-${field}` : field })}>${name}${state ? (isUp ? " ▲" : " ▼") : ""}</button></th>`;
}

function ordered(experiments, query, stars) {
  const sort = query.get("sort") || "-number";
  const key = SORTS[sort.replace("-", "")] || SORTS.number;
  const sign = sort.startsWith("-") ? -1 : 1;
  return [...experiments]
    .sort((one, other) => (stars.includes(other.number) - stars.includes(one.number))
      || sign * ((key(one) > key(other)) - (key(one) < key(other))));
}

function List({ experiments, isAll, trends, query, chosen, choose }) {
  const [stars, setStars] = useRemembered("stars", []);
  const sort = query.get("sort") || "-number";
  const rows = ordered(experiments, query, stars);
  const star = (number) => setStars(stars.includes(number) ? stars.filter((each) => each !== number) : [...stars, number]);
  return html`<div class="scroll" tabindex="0"><table aria-label="Experiments"><thead><tr>
      <${Heading} name="Experiment" field="name" sort=${sort} /><th scope="col" class="narrow-hide">algorithm</th>
      <${Heading} name="state" field="state" sort=${sort} /><${Heading} name="progress" field="ended" sort=${sort} />
      <${Heading} name="left" field="left" sort=${sort} className="number" /><th scope="col">best</th><th scope="col" class="narrow-hide">best so far</th>
      <${Heading} name="last ended" field="last" sort=${sort} className="narrow-hide" /><${Heading} name="added" field="number" sort=${sort} className="narrow-hide" /></tr></thead>
    <tbody>${rows.map((each) => html`<${Row} key=${each.number} experiment=${each} trend=${trends[each.number]} starred=${stars.includes(each.number)} star=${() => star(each.number)}
      chosen=${chosen.includes(each.number)} choose=${() => choose(each.number)} />`)}</tbody>
  </table></div>${rows.length ? null : html`<${Notice}>${isAll ? "Nothing matches." : "None of the newest matches; there are older ones."} <button type="button" onClick=${() => setQuery({ name: null, state: null, after: null })}>Show all</button><//>`}`;
}

function Empty() {
  return html`<${Panel} title="No experiment yet">
    <p>A program and its hyperparameters are all that a search needs:</p>
    <div><${Command} text="schedy run Digits --lr 'loguniform(1e-4, 1)' --maximize accuracy --max-jobs 40 -j 4 -- python train.py" /></div>
    <p>Or push jobs by hand:</p>
    <div class="row"><${Command} text="schedy add MinimizeManual manual" /><${Command} text="schedy push MinimizeManual -p x 1 y 2" /></div>
    <p class="row"><${AddButton} /></p>
  <//>`;
}

/** What the list asks for, of experiments and of trends: a page, the newest first, of those that are looked for. */
export function experimentsPage(query) {
  const asked = new URLSearchParams({ limit: "200", after: query.get("after") || "0" });
  for (const name of ["name", "state"]) if (query.get(name)) asked.set(name, query.get(name));
  return String(asked);
}

export function Overview({ query }) {
  const after = query.get("after") || "0";
  const [chosen, setChosen] = useState([]);
  const choose = (number) => setChosen(chosen.includes(number) ? chosen.filter((each) => each !== number) : [...chosen, number]);
  const page = experimentsPage(query);
  const answer = useAnswer(`experiments?${page}`);
  const trends = useAnswer(answer.data ? `trends?${page}` : null);
  useEffect(() => {
    if (!trends.data?.more) return undefined;
    const timer = setTimeout(trends.reload, TRENDS_MS);
    return () => clearTimeout(timer);
  }, [trends.data]);
  useAnswer("system"); // so that the broker is looked at, whose problems come with the pulse
  const events = useAnswer("events?limit=12");
  if (!answer.data) return html`<${Pending} answer=${answer} />`;
  const { experiments, next } = answer.data;
  const none = !experiments.length && after === "0" && !query.get("name") && !query.get("state");
  return html`<h1>Experiments</h1><${Totals} />
    ${none ? html`<${Empty} />` : html`<${Panel}>
      <div class="row"><input data-search type="search" placeholder="name" aria-label="Search by name" value=${query.get("name") || ""}
          onInput=${(event) => setQuery({ name: event.target.value, after: null })} />
        <div class="chips" role="group" aria-label="State">${STATES.map((state) => html`<button key=${state} type="button" class="chip small"
          aria-pressed=${query.get("state") === state} onClick=${() => setQuery({ state: query.get("state") === state ? null : state, after: null })}>${state}</button>`)}</div>
        <span class="grow"></span>
        ${chosen.length > 1 ? html`<${Link} to=${`/compare?e=${chosen.join(",")}`}>Compare ${chosen.length}<//>` : null}<${AddButton} /></div>
      <${List} experiments=${experiments} isAll=${!next} trends=${trends.data?.trends || {}} query=${query} chosen=${chosen} choose=${choose} />
      <div class="row end">${after !== "0" ? html`<button type="button" onClick=${() => history.back()}>back</button>` : null}
        ${next ? html`<span class="faint">${experiments.length} of them</span><button type="button" onClick=${() => setQuery({ after: next }, { replace: false })}>older ones</button>` : null}
        <${Command} text="schedy list -t" /></div>
    <//>`}
    <${Panel} title="What happened last">${events.data?.events.length ? html`<${Events} events=${events.data.events} />`
      : events.data ? html`<span class="faint">Nothing yet.</span>` : html`<${Pending} answer=${events} />`}<//>`;
}
