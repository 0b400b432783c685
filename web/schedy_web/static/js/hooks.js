/** Hooks: the pulse, answers that follow it, times that tick. */
import { get, known, pulse } from "./api.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor.js";

const VIEW_MS = 2000;
const CHANCE_MS = 300;

/** Whether an error is of the store or of the way to it: then all views have it, each perhaps in other words. */
function isOfAll(error) {
  return error?.code === "unavailable" || error?.code === "offline";
}

/** The latest pulse: `{data, error, since, paused, changes}`, the last one how many were made here. */
export function usePulse() {
  const [state, setState] = useState(pulse.state);
  useEffect(() => {
    setState(pulse.state); // it may have beaten since this was drawn, and not again while nothing happens
    return pulse.listen(setState);
  }, []);
  return state;
}

/**
 * The answer of an address, asked for again when something has happened or a problem has come with the time (a service
 * that was killed), at most every two seconds, and at once when it was this page that has changed something.
 * While another address is loading the answer before stays, with `stale`.
 * @param {string|null} address below /api/v1/, null for none
 * @returns {{data: any, error: Error|null, stale: boolean, reload: () => void}}
 */
export function useAnswer(address) {
  const [state, setState] = useState({ address, data: address && known(address), error: null });
  const [turn, setTurn] = useState(0);
  const { data: beat, error: lost, changes } = usePulse();
  const version = lost || !beat ? null : [beat.version, ...beat.problems.map((each) => each.text)].join(" ");
  const asked = useRef({ at: 0, version: null });
  const life = useRef(null);
  const ask = async (signal) => {
    asked.current = { at: Date.now(), version };
    try {
      const data = await get(address, { signal });
      if (!signal.aborted) setState((now) => (now.data === data && now.address === address && !now.error ? now : { address, data, error: null }));
    } catch (error) {
      if (signal.aborted) return;
      setState((now) => ({ ...now, address, error }));
      if (isOfAll(error)) pulse.soon(); // it fails, too, and the page says so once
    }
  };
  useLayoutEffect(() => { // not after the drawing, for which an effect would wait
    if (address === null) return undefined;
    life.current = new AbortController();
    ask(life.current.signal);
    return () => life.current.abort();
  }, [address, turn, changes]);
  useEffect(() => {
    const { at, version: before } = asked.current;
    if (address === null || version === null || before === version) return undefined;
    if (before === null && !state.error) {
      asked.current.version = version;
      return undefined;
    }
    const timer = setTimeout(() => ask(life.current.signal), Math.max(0, at + VIEW_MS - Date.now()) + Math.random() * CHANCE_MS);
    return () => clearTimeout(timer);
  }, [address, version]);
  const error = lost && isOfAll(lost) && isOfAll(state.error) ? null : state.error; // the page says it for all its views
  return { data: state.data, error, stale: state.address !== address, reload: () => setTurn((n) => n + 1) };
}

/**
 * The answers of several addresses, of which there may be more or fewer later.
 * @param {string[]} addresses
 * @param {number} most of them at any time
 * @returns {{data: any[], error: Error|undefined, isWhole: boolean}} those that are there, and whether all are
 */
export function useAnswers(addresses, most) {
  const answers = Array.from({ length: most }, (_each, k) => useAnswer(addresses[k] ?? null)).slice(0, addresses.length);
  const data = answers.map((each) => each.data);
  return { data: data.filter(Boolean), error: answers.find((each) => each.error)?.error, isWhole: data.every(Boolean) };
}

/** Draw again each second, for times such as "2 min ago". */
export function useTick(milliseconds = 1000) {
  const [, setCount] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setCount((count) => count + 1), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
}

/** A value that this browser remembers under a key; unreadable ones are thrown away. */
export function useRemembered(key, initial) {
  const name = `schedy.1.${key}`;
  const [value, setValue] = useState(() => {
    try {
      const text = localStorage.getItem(name);
      return text === null ? initial : JSON.parse(text);
    } catch {
      localStorage.removeItem(name);
      return initial;
    }
  });
  const set = (next) => {
    setValue(next);
    localStorage.setItem(name, JSON.stringify(next));
  };
  return [value, set];
}

/** The width of an element in pixels, followed as it changes: `[ref, width]`. */
export function useWidth() {
  const ref = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
