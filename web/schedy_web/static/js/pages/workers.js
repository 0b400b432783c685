/** Who works, on what, and who does badly. */
import { Link, jobAddress, setQuery } from "../address.js";
import { useAnswer, useRemembered } from "../hooks.js";
import { Command, Notice, Panel, Pending, When } from "../parts/basic.js";
import { html } from "../vendor.js";

const ORDER = { unhealthy: 0, silent: 1, alive: 2, ended: 3 };
const MANY = 2;

/** Tell whether a worker crashes more than twice its share. */
function crashesOften(worker, share) {
  const ended = worker.done + worker.crashed;
  return ended >= 5 && worker.crashed > MANY * share * ended;
}

function Jobs({ jobs }) {
  if (!jobs.length) return html`<span class="faint">-</span>`;
  return html`${jobs.slice(0, 3).map((job, place) => html`${place ? ", " : ""}${job.experiment.number
    ? html`<${Link} to=${jobAddress(job.experiment, job.id)}>${job.experiment.name}/${job.id}<//>` : `${job.experiment.name}/${job.id}`}`)}${
    jobs.length > 3 ? ` and ${jobs.length - 3} more` : ""}`;
}

function Row({ worker, share, indent }) {
  const state = { unhealthy: "CRASHED", silent: "PRUNED", alive: "DONE" }[worker.state] || "faint";
  return html`<tr><td>${indent ? html`<span class="faint">└ </span>` : worker.host}<span class="faint">:${worker.pid}</span></td><td>${worker.program}</td>
    <td><${Jobs} jobs=${worker.jobs} /></td><td><${When} time=${worker.since} /></td><td><${When} time=${worker.heard_at} /></td>
    <td class="number">${worker.done}</td><td class=${`number ${crashesOften(worker, share) ? "CRASHED" : ""}`}>${worker.crashed}${crashesOften(worker, share) ? " !" : ""}</td>
    <td class="number">${worker.lost}</td><td class="wrap"><span class=${state}>${worker.state}</span>${worker.detail ? html` <span class="faint">${worker.detail}</span>` : null}</td></tr>`;
}

function Host({ host, workers, share }) {
  const sum = (name) => workers.reduce((total, worker) => total + worker[name], 0);
  const busy = workers.reduce((total, worker) => total + worker.jobs.length, 0);
  return html`<tr><td><b>${host}</b></td><td class="faint">${workers.length} workers</td><td>${busy ? `${busy} jobs` : html`<span class="faint">-</span>`}</td>
    <td></td><td></td><td class="number">${sum("done")}</td><td class="number">${sum("crashed")}</td><td class="number">${sum("lost")}</td><td></td></tr>
    ${workers.map((worker) => html`<${Row} key=${worker.pid + worker.since} worker=${worker} share=${share} indent=${true} />`)}`;
}

function Empty() {
  return html`<${Panel} title="No worker is alive">
    <p>Start one here, for an experiment that has jobs or a search:</p><div><${Command} text="schedy run NAME -j 4 -- python train.py" /></div>
    <p>On another machine, set the broker's URL first: <code>schedy up --listen ADDRESS</code> prints the line to copy.</p><//>`;
}

export function Workers({ query }) {
  const gone = query.get("gone") === "1";
  const [byHost, setByHost] = useRemembered("workers.by-host", true);
  const answer = useAnswer(`workers${gone ? "?gone=1" : ""}`);
  if (!answer.data) return html`<h1>Workers</h1><${Pending} answer=${answer} />`;
  const workers = [...answer.data.workers].sort((one, other) => ORDER[one.state] - ORDER[other.state] || (one.host < other.host ? -1 : 1));
  const total = (name) => workers.reduce((sum, worker) => sum + worker[name], 0);
  const share = total("crashed") / Math.max(1, total("crashed") + total("done"));
  const states = Object.keys(ORDER).map((state) => [state, workers.filter((worker) => worker.state === state).length]).filter(([, n]) => n);
  const hosts = Map.groupBy ? Map.groupBy(workers, (worker) => worker.host) : workers.reduce((map, worker) => map.set(worker.host, [...(map.get(worker.host) || []), worker]), new Map());
  return html`<h1>Workers</h1>
    ${workers.length ? null : html`<${Empty} />`}
    <${Panel}><div class="row">${states.map(([state, n]) => html`<span key=${state}><b>${n}</b> ${state}</span>`)}
        <span><b>${workers.filter((worker) => worker.jobs.length).length}</b> busy</span><span class="grow"></span>
        <label><input type="checkbox" checked=${byHost} onChange=${() => setByHost(!byHost)} /> by host</label>
        <label><input type="checkbox" checked=${gone} onChange=${() => setQuery({ gone: gone ? null : 1 })} /> also ended ones</label>
        <${Command} text="schedy workers" /></div>
      <div class="scroll" tabindex="0"><table aria-label="Workers"><thead><tr><th scope="col">worker</th><th scope="col">program</th><th scope="col">jobs</th><th scope="col">since</th>
        <th scope="col">heard</th><th scope="col" class="number">done</th><th scope="col" class="number">crashed</th><th scope="col" class="number">lost</th><th scope="col">state</th></tr></thead>
        <tbody>${[...hosts].map(([host, list]) => (byHost && list.length > 1 ? html`<${Host} key=${host} host=${host} workers=${list} share=${share} />`
          : list.map((worker) => html`<${Row} key=${worker.pid + worker.since} worker=${worker} share=${share} />`)))}</tbody></table></div>
      ${answer.data.next ? html`<${Notice}>Only the first ${workers.length} workers are shown.<//>` : null}<//>`;
}
