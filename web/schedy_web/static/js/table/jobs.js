/** The table of jobs: filter, sort, columns, selection. Rows do not move by themselves. */
import { Link, current, go, jobAddress, setQuery } from "../address.js";
import { prefetch, prefix } from "../api.js";
import { count, quoted } from "../format.js";
import { useAnswer, usePulse, useRemembered } from "../hooks.js";
import { useKeys } from "../keys.js";
import { hover } from "../charts/data.js";
import { Command, Notice, Panel, Pending, STATUSES } from "../parts/basic.js";
import { html, useEffect, useRef, useState } from "../vendor.js";
import { JobActions } from "../actions/jobs.js";
import { allColumns, defaultColumns } from "./columns.js";
import { ColumnChooser } from "./chooser.js";
import { Filters } from "./filters.js";

const MOST_COUNTED = 20000;

/**
 * The rows that are shown: those of the first answer of an address, with the cells of the latest one.
 * `waiting` tells that the order has changed meanwhile.
 */
function useCalmRows(address, data) {
  const shown = useRef({ address: null, ids: [], jobs: new Map() });
  const [, again] = useState(0);
  if (data) {
    const state = shown.current;
    const isNew = state.address !== address;
    if (isNew) shown.current = { address, ids: data.jobs.map((job) => job.id), jobs: new Map() };
    for (const job of data.jobs) shown.current.jobs.set(job.id, job);
  }
  const { ids, jobs } = shown.current;
  const waiting = Boolean(data) && data.jobs.map((job) => job.id).join() !== ids.join();
  const show = () => {
    shown.current = { address: null, ids: [], jobs: new Map() };
    again((n) => n + 1);
  };
  return { rows: ids.map((id) => jobs.get(id)).filter(Boolean), waiting, show };
}

function Heading({ column, sort, change }) {
  const isUp = sort === column.sorts;
  const isDown = sort === `-${column.sorts}`;
  const state = isUp ? "ascending" : isDown ? "descending" : undefined;
  const press = () => change({ sort: isDown ? column.sorts : `-${column.sorts}`, page: null });
  return html`<th scope="col" class=${column.number ? "number" : ""} aria-sort=${state} title=${column.field}>${column.sorts
    ? html`<button type="button" onClick=${press}>${column.title}${isUp ? " ▲" : isDown ? " ▼" : ""}</button>` : column.title}</th>`;
}

function useSelection(rows, query) {
  const chosen = new Set((query.get("sel") || "").split(",").filter(Boolean));
  const last = useRef(null);
  const set = (ids) => setQuery({ sel: [...ids].join(",") });
  const toggle = (id, range) => {
    const ids = rows.map((row) => row.id);
    const next = new Set(chosen);
    if (range && last.current && ids.includes(last.current)) {
      const [from, to] = [ids.indexOf(last.current), ids.indexOf(id)].sort((one, other) => one - other);
      ids.slice(from, to + 1).forEach((each) => next.add(each));
    } else if (!next.delete(id)) next.add(id);
    last.current = id;
    set(next);
  };
  return { chosen, toggle, set };
}

function Row({ job, columns, experiment, isChosen, isCursor, toggle }) {
  return html`<tr class=${`${isChosen ? "chosen" : ""} ${isCursor ? "cursor" : ""}`} aria-selected=${isChosen}
      onMouseEnter=${() => hover.set(job.id)} onMouseLeave=${() => hover.set(null)}>
    <td><input type="checkbox" aria-label=${`Select ${job.id}`} checked=${isChosen} onClick=${(event) => { event.preventDefault(); toggle(job.id, event.shiftKey); }} /></td>
    <td class="mono"><${Link} to=${jobAddress(experiment, job.id)}>${job.id}<//></td>
    ${columns.map((column) => {
      const cell = column.cell(job);
      return html`<td key=${column.field} class=${column.number ? "number" : ""} title=${typeof cell === "string" ? cell : undefined}>${cell}</td>`;
    })}</tr>`;
}

function useRowKeys(rows, experiment, selection) {
  const [cursor, setCursor] = useState(-1);
  const job = rows[cursor];
  useKeys({
    j: () => setCursor(Math.min(rows.length - 1, cursor + 1)), k: () => setCursor(Math.max(0, cursor - 1)),
    x: () => job && selection.toggle(job.id, false), X: () => job && selection.toggle(job.id, true),
    Enter: () => job && go(jobAddress(experiment, job.id)),
  });
  useEffect(() => document.querySelector("tr.cursor")?.scrollIntoView({ block: "nearest" }), [cursor]);
  return cursor;
}

/** The address of the jobs that a view shows. */
export function jobsAddress(number, query) {
  const asked = new URLSearchParams({ limit: "50" });
  for (const name of ["where", "status"]) query.getAll(name).forEach((each) => asked.append(name, each));
  if (query.get("sort")) asked.set("sort", query.get("sort"));
  if (query.get("page")) asked.set("after", query.get("page"));
  if (query.getAll("where").length) asked.set("count", "1");
  return `experiments/${number}/jobs?${asked}`;
}

function totalText(total) {
  return total === null || total === undefined ? "many" : total > MOST_COUNTED ? `more than ${count(MOST_COUNTED)}` : count(total);
}

/** The address of the same jobs as a file. */
function fileAddress(experiment, query) {
  const asked = new URLSearchParams();
  for (const name of ["where", "status"]) query.getAll(name).forEach((each) => asked.append(name, each));
  return `${prefix}/api/v1/experiments/${experiment.number}/jobs.csv?${asked}`;
}

function sameCommand(experiment, query) {
  const sort = query.get("sort");
  const words = ["schedy list", quoted(experiment.name), "-t"];
  query.getAll("status").forEach((status) => words.push("--status", status));
  query.getAll("where").forEach((where) => words.push("--where", quoted(where)));
  const objective = experiment.objectives.length === 1 ? experiment.objectives[0].name : null;
  if (sort) words.push("-s", quoted(sort.replace(/^-/, "")), sort.startsWith("-") ? "--decreasing" : "--increasing");
  else words.push(...(objective ? ["-s", quoted(`result.${objective}`)] : ["--decreasing"]));
  return words.join(" ");
}

function shownColumns(experiment, jobs, order, query, kept) {
  const all = allColumns(experiment);
  const wanted = query.get("cols") ? query.get("cols").split(",") : kept || defaultColumns(experiment, jobs, order, query.get("status") === "CRASHED");
  return wanted.map((field) => all.find((column) => column.field === field)).filter(Boolean);
}

export function Jobs({ experiment, query, order }) {
  const address = jobsAddress(experiment.number, query);
  const answer = useAnswer(address);
  const { rows, waiting, show } = useCalmRows(address, answer.stale ? null : answer.data);
  const { data: beat } = usePulse();
  const [kept, setKept] = useRemembered(`columns.${experiment.number}`, null);
  const selection = useSelection(rows, query);
  const cursor = useRowKeys(rows, experiment, selection);
  const columns = shownColumns(experiment, rows, order, query, kept);
  const statuses = query.getAll("status");
  const change = (changes, how) => {
    setQuery(changes, how);
    prefetch([jobsAddress(experiment.number, current().query)]); // before all charts are looked through for changes
  };
  const press = (status) => change({ status: statuses.includes(status) ? statuses.filter((each) => each !== status) : [...statuses, status], page: null });
  const choose = (fields) => {
    setKept(fields);
    setQuery({ cols: fields ? fields.join(",") : null });
  };
  return html`<${Panel} title="Jobs">
    <div class="row"><div class="chips" role="group" aria-label="Status">${STATUSES.map((status) => html`<button type="button" class="chip small" key=${status}
        aria-pressed=${statuses.includes(status)} onClick=${() => press(status)}>${status} ${count(experiment.counts[status])}</button>`)}</div>
      <${Filters} query=${query} fields=${experiment.fields} />
      <span class="grow"></span><${ColumnChooser} experiment=${experiment} columns=${columns} choose=${choose} />
      <${Command} text=${sameCommand(experiment, query)} /></div>
    ${answer.error ? html`<${Notice} kind="error">${answer.error.message}<//>` : null}
    ${beat?.operate || selection.chosen.size ? html`<${JobActions} experiment=${experiment} ids=${[...selection.chosen]} query=${query} total=${answer.data?.total} clear=${() => selection.set([])} />` : null}
    ${waiting ? html`<${Notice}>The order has changed meanwhile. <button type="button" class="small" onClick=${show}>show</button><//>` : null}
    ${answer.data ? html`<div class="scroll" tabindex="0"><table aria-label="Jobs" aria-busy=${answer.stale}><thead><tr>
        <th scope="col"><input type="checkbox" aria-label="Select all of the page" checked=${rows.length > 0 && rows.every((row) => selection.chosen.has(row.id))}
          onChange=${(event) => selection.set(event.target.checked ? rows.map((row) => row.id) : [])} /></th><th scope="col">job</th>
        ${columns.map((column) => html`<${Heading} key=${column.field} column=${column} sort=${query.get("sort")} change=${change} />`)}</tr></thead>
      <tbody>${rows.map((job, place) => html`<${Row} key=${place} job=${job} columns=${columns} experiment=${experiment} isChosen=${selection.chosen.has(job.id)}
        isCursor=${place === cursor} toggle=${selection.toggle} />`)}</tbody></table></div>
      ${rows.length ? null : html`<${Nothing} experiment=${experiment} query=${query} />`}
      <div class="row end"><span class="faint grow">${`${rows.length} of ${totalText(answer.data.total)}`}</span>
        <a href=${fileAddress(experiment, query)} download>CSV</a>
        ${query.get("page") ? html`<button type="button" onClick=${() => setQuery({ page: null })}>first</button>` : null}
        ${answer.data.next ? html`<button type="button" onClick=${() => change({ page: answer.data.next }, { replace: false })}>next 50</button>` : null}</div>`
      : html`<${Pending} answer=${answer} />`}<//>`;
}

function Nothing({ experiment, query }) {
  if (query.getAll("where").length || query.getAll("status").length) {
    return html`<${Notice}>No job matches. <button type="button" onClick=${() => setQuery({ where: null, status: null, page: null })}>Show all</button><//>`;
  }
  const isManual = experiment.scheduler === "manual";
  return html`<${Notice}>${isManual ? "No job yet." : "No worker has asked for a job yet; the search makes them when one does."}
    <${Command} text=${isManual ? `schedy push ${quoted(experiment.name)} -p x 1 y 2` : `schedy run ${quoted(experiment.name)} -- python train.py`} /><//>`;
}
