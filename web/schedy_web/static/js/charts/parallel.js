/** Parallel coordinates: a line for each job, the best ones on top; drag on an axis to choose a range. */
import { setQuery } from "../address.js";
import { count, short, value } from "../format.js";
import { useWidth } from "../hooks.js";
import { html, useEffect, useMemo, useRef, useState } from "../vendor.js";
import { colour, hover, measureOf, ranksOf, scaleColour } from "./data.js";
import { Chart } from "./frame.js";
import { MISSING, axesOf } from "./parallel_axes.js";

const HEIGHT = 260;
const TOP = 40;
const BOTTOM = 40;
const SIDE = 60;
const NARROWEST_AXIS = 84;
const NEAR = 6;

function placeY(at) {
  return TOP + (1 - at) * (HEIGHT - TOP - BOTTOM);
}

function placeX(k, axes, width) {
  return axes.length === 1 ? width / 2 : SIDE + (k * (width - 2 * SIDE)) / (axes.length - 1);
}

/** Prepare a canvas for the pixels of this screen, and clear it. */
function penOf(canvas, width) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== width * ratio || canvas.height !== HEIGHT * ratio) {
    canvas.width = width * ratio;
    canvas.height = HEIGHT * ratio;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${HEIGHT}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, HEIGHT);
  return pen;
}

function line(pen, axes, job, width) {
  pen.beginPath();
  axes.forEach((axis, k) => pen[k ? "lineTo" : "moveTo"](placeX(k, axes, width), placeY(axis.places[job])));
  pen.stroke();
}

function drawLines(pen, { axes, order, ranks, keeps }, width) {
  const alpha = Math.min(0.9, Math.max(0.12, 60 / Math.sqrt(order.length * 40)));
  for (const job of order) {
    pen.strokeStyle = !keeps[job] ? `${colour("line")}40` : ranks[job] === null ? `${colour("QUEUED")}60` : scaleColour(1 - ranks[job], alpha);
    pen.lineWidth = keeps[job] && ranks[job] !== null && ranks[job] < 0.05 ? 1.8 : 1;
    line(pen, axes, job, width);
  }
}

function drawAxes(pen, axes, brushes, width) {
  pen.font = "11.5px system-ui, sans-serif";
  pen.textAlign = "center";
  axes.forEach((axis, k) => {
    const x = placeX(k, axes, width);
    pen.strokeStyle = colour("faint");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, placeY(0));
    pen.lineTo(x, placeY(1));
    pen.stroke();
    pen.fillStyle = colour("text");
    pen.fillText(short(axis.label, 18), x, 14);
    pen.fillStyle = colour("faint");
    axis.ticks.forEach(([at, text]) => label(pen, text, x, at));
    if (axis.places.includes(MISSING)) label(pen, "none", x, MISSING);
    const brush = brushes[axis.name];
    if (brush) {
      pen.fillStyle = `${colour("accent")}55`;
      pen.fillRect(x - 6, placeY(brush[1]), 12, placeY(brush[0]) - placeY(brush[1]));
    }
  });
}

function label(pen, text, x, at) {
  const y = at === MISSING ? placeY(at) + 14 : at === 0 ? placeY(0) + 14 : at === 1 ? placeY(1) - 6 : placeY(at) + 4;
  if (at !== 1 && at !== MISSING) {
    const width = pen.measureText(text).width;
    const before = pen.fillStyle;
    pen.fillStyle = colour("box");
    pen.fillRect(x - width / 2 - 2, y - 10, width + 4, 13);
    pen.fillStyle = before;
  }
  pen.fillText(text, x, y);
}

/** Brushes of the address: `brush=lr:0.2..0.7`, places on the axis. */
export function brushesOf(query) {
  const brushes = {};
  for (const text of query.getAll("brush")) {
    const [, name, low, high] = text.match(/^(.*):([\d.]+)\.\.([\d.]+)$/) || [];
    if (name !== undefined) brushes[name] = [Number(low), Number(high)];
  }
  return brushes;
}

function toQuery(brushes) {
  setQuery({ brush: Object.entries(brushes).map(([name, [low, high]]) => `${name}:${low.toFixed(4)}..${high.toFixed(4)}`) });
}

function useDrag(axes, width, brushes) {
  const [drag, setDrag] = useState(null);
  const at = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const toPlace = (y) => Math.min(1, Math.max(0, 1 - (y - TOP) / (HEIGHT - TOP - BOTTOM)));
  const down = (event) => {
    const { x, y } = at(event);
    const k = axes.findIndex((_axis, place) => Math.abs(placeX(place, axes, width) - x) < 14);
    if (k < 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setDrag({ name: axes[k].name, from: toPlace(y), to: toPlace(y) });
  };
  const move = (event) => drag && setDrag({ ...drag, to: toPlace(at(event).y) });
  const up = () => {
    if (!drag) return;
    const next = { ...brushes };
    const range = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
    if (range[1] - range[0] < 0.01) delete next[drag.name];
    else next[drag.name] = range;
    setDrag(null);
    toQuery(next);
  };
  const live = drag ? { ...brushes, [drag.name]: [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)] } : brushes;
  return { live, down, move, up, isDragging: Boolean(drag) };
}

/** The job whose line passes near a point; of several the best. */
function jobNear(axes, order, keeps, width, x, y) {
  const k = Math.min(axes.length - 2, Math.max(0, Math.floor(((x - SIDE) / (width - 2 * SIDE)) * (axes.length - 1))));
  if (axes.length < 2) return null;
  const share = (x - placeX(k, axes, width)) / (placeX(k + 1, axes, width) - placeX(k, axes, width));
  if (share < 0 || share > 1) return null;
  for (let place = order.length - 1; place >= 0; place -= 1) {
    const job = order[place];
    const at = placeY(axes[k].places[job]) * (1 - share) + placeY(axes[k + 1].places[job]) * share;
    if (keeps[job] && Math.abs(at - y) < NEAR) return job;
  }
  return null;
}

export function Parallel({ experiment, sample, query, found, pick, className }) {
  const [ref, seen] = useWidth();
  const base = useRef(null);
  const over = useRef(null);
  const onlyBest = query.get("top") === "1";
  const order = found.list.map((each) => each.name);
  const axes = useMemo(() => axesOf(experiment, sample, order, query.get("all") === "1"), [experiment, sample, order.join()]);
  const width = Math.max(seen, axes.length * NARROWEST_AXIS);
  const { live, down, move, up, isDragging } = useDrag(axes, width, brushesOf(query));
  const ranks = useMemo(() => ranksOf(measureOf(experiment, sample)), [experiment, sample]);
  const keeps = useMemo(() => sample.ids.map((_id, job) => (!onlyBest || (ranks[job] !== null && ranks[job] <= 0.1))
    && axes.every((axis) => !live[axis.name] || (axis.places[job] >= live[axis.name][0] - 1e-9 && axis.places[job] <= live[axis.name][1] + 1e-9))),
  [sample, axes, JSON.stringify(live), onlyBest]);
  const drawn = useMemo(() => sample.ids.map((_id, job) => job).filter((job) => sample.status[job] !== "CRASHED" && sample.ended[job] !== null)
    .sort((one, other) => keeps[one] - keeps[other] || (ranks[other] ?? 2) - (ranks[one] ?? 2)), [sample, keeps, ranks]);
  useEffect(() => {
    if (!base.current || !seen) return;
    const pen = penOf(base.current, width);
    drawLines(pen, { axes, order: drawn, ranks, keeps }, width);
    drawAxes(pen, axes, live, width);
  });
  useEffect(() => {
    const mark = (id) => {
      if (!over.current || !seen) return;
      const pen = penOf(over.current, width);
      const job = sample.ids.indexOf(id);
      if (job < 0) return;
      pen.strokeStyle = colour("text");
      pen.lineWidth = 2.5;
      line(pen, axes, job, width);
    };
    mark(hover.id);
    return hover.listen(mark);
  }, [axes, width, sample]);
  const track = (event) => {
    move(event);
    if (isDragging) return;
    const box = event.currentTarget.getBoundingClientRect();
    const job = jobNear(axes, drawn, keeps, width, event.clientX - box.left, event.clientY - box.top);
    hover.set(job === null ? null : sample.ids[job]);
  };
  const shown = drawn.filter((job) => keeps[job]).length;
  const names = Object.entries(live).map(([name, [low, high]]) => {
    const axis = axes.find((each) => each.name === name);
    return axis ? `${name} ${value(axis.inverse(low), 3)} to ${value(axis.inverse(high), 3)}` : name;
  });
  const controls = html`<button type="button" class="small" aria-pressed=${onlyBest} onClick=${() => setQuery({ top: onlyBest ? null : 1 })}>only the best 10 %</button>
    ${names.length ? html`<button type="button" class="small" onClick=${() => setQuery({ brush: null })}>clear ranges</button>` : null}`;
  const text = `${count(shown)} of ${count(drawn.length)} jobs${names.length ? ` with ${names.join(", ")}` : ""}; yellow is best; drag on an axis to choose a range`;
  return html`<${Chart} title="Parallel coordinates" text=${text} className=${className} controls=${controls}>
    <div class="chart scroll" tabindex="0" ref=${ref}><div style=${{ position: "relative", width: `${width}px`, height: `${HEIGHT}px`, touchAction: "pan-x" }}
        onPointerDown=${down} onPointerMove=${track} onPointerUp=${up} onPointerLeave=${() => hover.set(null)} onClick=${() => hover.id && pick(hover.id)}>
      <canvas ref=${base}></canvas><canvas ref=${over} style=${{ position: "absolute", left: 0, top: 0 }}></canvas></div></div><//>`;
}
