/** When which worker ran which job. */
import { now } from "../clock.js";
import { seconds, short, value } from "../format.js";
import { useWidth } from "../hooks.js";
import { html, useEffect, useMemo, useRef, useState } from "../vendor.js";
import { colour, hover, measureOf } from "./data.js";
import { Chart } from "./frame.js";

const LANE = 16;
const LEFT = 120;
const BOTTOM = 20;
const MOST_LANES = 40;

function lanesOf(sample) {
  const lanes = new Map();
  sample.ids.forEach((_id, k) => {
    if (!sample.started_at[k] || !sample.worker[k]) return;
    const from = Date.parse(sample.started_at[k]);
    const to = sample.finished_at[k] ? Date.parse(sample.finished_at[k]) : now();
    const name = sample.worker[k];
    if (!lanes.has(name)) lanes.set(name, []);
    lanes.get(name).push({ job: k, from, to });
  });
  const rows = [];
  for (const [name, bars] of [...lanes].sort(([one], [other]) => (one < other ? -1 : 1))) rows.push(...sideBySide(name, bars));
  return rows;
}

/** One worker may run several jobs at once: they get rows of their own. */
function sideBySide(name, bars) {
  const rows = [];
  for (const bar of bars.sort((one, other) => one.from - other.from)) {
    const row = rows.find((each) => each.end <= bar.from + 1);
    if (row) {
      row.bars.push(bar);
      row.end = bar.to;
    } else rows.push({ name: rows.length ? "" : name, bars: [bar], end: bar.to });
  }
  return rows;
}

function draw(canvas, rows, width, low, high) {
  const ratio = devicePixelRatio || 1;
  const height = rows.length * LANE + BOTTOM;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.font = "11px system-ui, sans-serif";
  rows.forEach((row, lane) => {
    pen.fillStyle = colour("faint");
    pen.fillText(short(row.name, 18), 0, lane * LANE + 12);
    for (const { from, to, status, id } of row.bars) {
      pen.globalAlpha = hover.id === id ? 1 : 0.75;
      pen.fillStyle = colour(status);
      const left = LEFT + ((from - low) / (high - low)) * (width - LEFT);
      pen.fillRect(left, lane * LANE + 2, Math.max(1, ((to - from) / (high - low)) * (width - LEFT) - 0.5), LANE - 4);
      pen.globalAlpha = 1;
    }
  });
  pen.fillStyle = colour("faint");
  pen.fillText(new Date(low).toTimeString().slice(0, 8), LEFT, height - 5);
  pen.textAlign = "right";
  pen.fillText(new Date(high).toTimeString().slice(0, 8), width, height - 5);
}

export function Timeline({ experiment, sample, pick, className }) {
  const [ref, width] = useWidth();
  const canvas = useRef(null);
  const [tip, setTip] = useState(null);
  const all = useMemo(() => lanesOf(sample), [sample]);
  const rows = useMemo(() => all.slice(0, MOST_LANES).map((row) => ({ ...row, bars: row.bars.map((bar) => ({ ...bar, status: sample.status[bar.job], id: sample.ids[bar.job] })) })), [all]);
  const bars = rows.flatMap((row) => row.bars);
  const low = Math.min(...bars.map((bar) => bar.from));
  const high = Math.max(low + 1, ...bars.map((bar) => bar.to));
  useEffect(() => {
    if (!width || !bars.length) return undefined;
    const again = () => draw(canvas.current, rows, width, low, high);
    again();
    return hover.listen(again);
  }, [rows, width]);
  const measure = useMemo(() => measureOf(experiment, sample), [experiment, sample]);
  const move = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const lane = Math.floor((event.clientY - box.top) / LANE);
    const time = low + ((event.clientX - box.left - LEFT) / (width - LEFT)) * (high - low);
    const bar = rows[lane]?.bars.find((each) => time >= each.from && time <= each.to);
    hover.set(bar ? bar.id : null);
    setTip(bar ? { left: event.clientX - box.left + 12, top: event.clientY - box.top + 12,
      text: `${bar.id}  ${bar.status}  ${seconds((bar.to - bar.from) / 1000)}\n${measure.name} ${value(measure.values[bar.job])}` } : null);
  };
  if (!bars.length) return null;
  const text = `${bars.length} jobs on ${new Set(sample.worker.filter(Boolean)).size} workers${all.length > rows.length ? `; the first ${rows.length} rows of ${all.length}` : ""}`;
  return html`<${Chart} title="Timeline by worker" text=${text} className=${className}>
    <div class="chart" ref=${ref} onMouseMove=${move} onMouseLeave=${() => { hover.set(null); setTip(null); }} onClick=${() => hover.id && pick(hover.id)}>
      <canvas ref=${canvas}></canvas>${tip ? html`<div class="tip" style=${{ left: `${Math.min(tip.left, width - 200)}px`, top: `${tip.top}px` }}>${tip.text}</div>` : null}</div><//>`;
}
