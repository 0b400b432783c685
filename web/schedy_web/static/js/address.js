/** The address of a view: its whole state stands there, so that links, Back and Forward work. */
import { prefix } from "./api.js";
import { html, useEffect, useState } from "./vendor.js";

const listeners = new Set();

/** Where the browser is: `{path, query}`, the path without the prefix. */
export function current() {
  const path = decodeURI(location.pathname).slice(prefix.length) || "/";
  return { path, query: new URLSearchParams(location.search) };
}

/** The address that is shown: `{path, query}`, the path without the prefix. */
export function useAddress() {
  const [address, setAddress] = useState(current);
  useEffect(() => {
    const update = () => setAddress(current());
    listeners.add(update);
    window.addEventListener("popstate", update);
    return () => {
      listeners.delete(update);
      window.removeEventListener("popstate", update);
    };
  }, []);
  return address;
}

/** Show another address; with `replace` Back does not return to this one. */
export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", prefix + address);
  for (const listener of listeners) listener();
  if (!replace) window.scrollTo(0, 0);
}

/** Change parameters of the address; null and "" remove one, a list gives several. */
export function setQuery(changes, { replace = true } = {}) {
  const { path, query } = current();
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") query.append(name, each);
    }
  }
  const text = query.toString();
  history[replace ? "replaceState" : "pushState"](null, "", prefix + encodeURI(path) + (text ? `?${text}` : ""));
  for (const listener of listeners) listener();
}

/** A link within the pages. */
export function Link({ to, children, ...rest }) {
  const click = (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${prefix + to} onClick=${click} ...${rest}>${children}</a>`;
}

/** The address of an experiment; what follows the number is for people. */
export function experimentAddress({ number, name }) {
  const words = (name || "").replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 60);
  return `/e/${number}${words ? `-${words}` : ""}`;
}

export function jobAddress(experiment, id) {
  return `${experimentAddress(experiment)}/j/${id}`;
}
