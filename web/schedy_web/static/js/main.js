/** The shell: header, pages by address, theme, keys. */
import { Link, current, go, useAddress } from "./address.js";
import { prefetch, pulse } from "./api.js";
import { usePulse, useRemembered, useTick } from "./hooks.js";
import { useKeys, KeysHelp } from "./keys.js";
import { clock } from "./format.js";
import { Command, Notice } from "./parts/basic.js";
import { Toasts } from "./parts/toasts.js";
import { Compare } from "./pages/compare.js";
import { Experiment } from "./pages/experiment.js";
import { Experiments } from "./pages/experiments.js";
import { Job } from "./pages/job.js";
import { Log } from "./pages/log.js";
import { Login } from "./pages/login.js";
import { Overview, experimentsPage } from "./pages/overview.js";
import { System } from "./pages/system.js";
import { Workers } from "./pages/workers.js";
import { jobsAddress } from "./table/jobs.js";
import { html, render, useEffect, useErrorBoundary, useState } from "./vendor.js";

const LINKS = [["/", "Experiments"], ["/workers", "Workers"], ["/log", "Log"], ["/system", "System"]];
const THEMES = ["system", "dark", "light"];

const ROUTES = [
  [/^\/$/, Overview],
  [/^\/workers$/, Workers],
  [/^\/log$/, Log],
  [/^\/system$/, System],
  [/^\/compare$/, Experiments],
  [/^\/e\/(?<number>\d+)[^/]*$/, Experiment],
  [/^\/e\/(?<number>\d+)[^/]*\/compare$/, Compare],
  [/^\/e\/(?<number>\d+)[^/]*\/j\/(?<job>[^/]+)$/, Job],
];

function Page({ address }) {
  const [error, reset] = useErrorBoundary();
  if (error) {
    return html`<${Notice} kind="error">This page failed: ${String(error.message || error)}
      <button type="button" onClick=${reset}>Try again</button><//>`;
  }
  for (const [pattern, Component] of ROUTES) {
    const found = address.path.match(pattern);
    if (found) return html`<${Component} key=${Component.name + (found.groups?.number || "")} ...${found.groups} query=${address.query} />`;
  }
  return html`<h1>No such page</h1><${Notice} kind="warn">There is no page ${address.path}. <${Link} to="/">All experiments<//><//>`;
}

function useTheme() {
  const [theme, setTheme] = useRemembered("theme", "system");
  useEffect(() => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }, [theme]);
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])];
}

function Live({ state }) {
  const { error, since, paused } = state;
  const text = error ? `not connected since ${clock(since)}` : paused ? "paused" : "live";
  return html`<button type="button" class="small" aria-pressed=${paused} onClick=${() => pulse.setPaused(!paused)}
      title=${error ? error.message : paused ? "Go on (p)" : "Pause updates (p)"}>
    <span class=${`dot ${error ? "lost" : paused ? "" : "live"}`}></span> ${text}</button>`;
}

function Header({ address, state, theme, nextTheme, help }) {
  const here = (to) => (to === "/" ? address.path === "/" || address.path === "/compare" || address.path.startsWith("/e/") : address.path === to);
  return html`<nav class="top" aria-label="Pages">
    <a class="skip" href="#main">Skip to the page</a>
    <${Link} to="/" class="brand">Schedy<//>
    ${LINKS.map(([to, text]) => html`<${Link} key=${to} to=${to} aria-current=${here(to) ? "page" : undefined}>${text}<//>`)}
    <span class="right">
      ${state.data && !state.data.operate ? html`<span class="faint narrow-hide">watching only</span>` : null}
      <${Live} state=${state} />
      <button type="button" class="small" onClick=${nextTheme} title="Light or dark (d)">theme: ${theme}</button>
      <button type="button" class="small" onClick=${help} title="Keys (?)" aria-label="Keys">?</button>
    </span>
  </nav>`;
}

function Problems({ problems }) {
  return problems.map((problem) => html`<${Notice} kind="warn" key=${problem.kind + problem.text}>
    <span>${problem.text}</span>
    ${problem.address ? html`<${Link} to=${problem.address}>open<//>` : null}
    ${problem.command ? html`<${Command} text=${problem.command} />` : null}<//>`);
}

function App() {
  const address = useAddress();
  const state = usePulse();
  const [theme, nextTheme] = useTheme();
  const [helps, setHelps] = useState(false);
  useTick();
  useKeys({
    "g e": () => go("/"), "g w": () => go("/workers"), "g l": () => go("/log"), "g s": () => go("/system"),
    p: () => pulse.setPaused(!pulse.state.paused), d: nextTheme, "?": () => setHelps(true),
    "/": () => document.querySelector("[data-search]")?.focus(),
  });
  useEffect(() => pulse.soon(), []);
  if (state.error?.status === 401) return html`<${Login} />`;
  return html`
    <${Header} address=${address} state=${state} theme=${theme} nextTheme=${nextTheme} help=${() => setHelps(true)} />
    <main id="main" tabindex="-1">
      ${state.error?.status ? html`<${Notice} kind="error">${state.error.message}<//>` : null}
      <${Problems} problems=${address.path === "/" || address.path === "/workers" || address.path === "/system"
        ? state.data?.problems || [] : (state.data?.problems || []).filter((each) => each.kind === "service")} />
      <${Page} address=${address} />
    </main>
    <${Toasts} />
    ${helps ? html`<${KeysHelp} close=${() => setHelps(false)} />` : null}`;
}

/** Ask at once for what the first page shows. */
function askEarly() {
  const { path, query } = current();
  const number = path.match(/^\/e\/(\d+)[^/]*$/)?.[1];
  if (path === "/") prefetch(["pulse", `experiments?${experimentsPage(query)}`, "events?limit=12"]);
  else if (number && !query.get("tab")) prefetch(["pulse", `experiments/${number}`, jobsAddress(number, query)]);
}

askEarly();
render(html`<${App} />`, document.getElementById("app"));
