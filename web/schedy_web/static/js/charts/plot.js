/** Points and lines by uPlot: zoom by dragging, back by a double click, and the same job marked in all charts. */
import { short, value } from "../format.js";
import { useWidth } from "../hooks.js";
import { html, uPlot, useEffect, useRef, useState } from "../vendor.js";
import { colour, hover } from "./data.js";

const NEAR_PIXELS = 24;

function seriesOf(each) {
  const stroke = each.stroke || colour(each.colour);
  const common = { label: each.label, stroke, dash: each.dash, spanGaps: false };
  if (each.kind === "line") {
    const isPoint = each.values.filter((one) => one !== null && one !== undefined).length === 1;
    return { ...common, width: 1.5, spanGaps: true, points: { show: isPoint, size: 5, width: 1, fill: stroke } };
  }
  if (each.kind === "steps") return { ...common, width: 2, spanGaps: true, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } };
  const fill = each.kind === "hollow" ? "transparent" : stroke;
  return { ...common, width: 0, paths: () => null, points: { show: true, size: each.size || 5, width: 1, stroke, fill } };
}

function axisOf(label, extra) {
  return { label, labelSize: 18, labelFont: "12px system-ui, sans-serif", font: "11px system-ui, sans-serif", stroke: colour("faint"),
    grid: { stroke: colour("line"), width: 0.5 }, ticks: { stroke: colour("line"), width: 0.5 }, ...extra };
}

/** Distances between the marks of an axis of whole numbers. */
const WHOLE = Array.from({ length: 16 }, (_each, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

function numbers(_plot, splits) {
  return splits.map((each) => (each === null ? null : value(each, 4)));
}

/** The x axis of texts: one split for each, with its text. */
function namesAxis(names) {
  return { splits: () => names.map((_name, place) => place), values: () => names.map((name) => short(name, 12)) };
}

function optionsOf({ series, xLabel, yLabel, xTime, xLog, xNames, xWhole, yLog, yRange, height }, width, draw) {
  const xAxis = xNames ? namesAxis(xNames) : xTime ? {} : { values: numbers, ...(xWhole ? { incrs: WHOLE } : {}) };
  const xRange = xNames ? { range: (_plot, low, high) => (draw.zoomed ? [low, high] : [-0.5, xNames.length - 0.5]) } : {};
  return {
    width, height,
    legend: { show: false },
    cursor: { drag: { x: true, y: true, uni: 20 }, points: { show: false }, y: false, x: false },
    scales: {
      x: { time: Boolean(xTime), ...(xLog ? { distr: 3 } : {}), ...xRange },
      y: { ...(yLog ? { distr: 3 } : {}), ...(yRange ? { range: (_plot, low, high) => (draw.zoomed ? [low, high] : yRange) } : {}) },
    },
    axes: [axisOf(short(xLabel, 60), { size: 34, ...xAxis }), axisOf(short(yLabel, 30), { size: 58, values: numbers })],
    series: [{}, ...series.map(seriesOf)],
    hooks: { draw: [draw], setSelect: [(plot) => { draw.zoomed = plot.select.width > 0 || draw.zoomed; }] },
  };
}

/** The index of the nearest point to the pointer, and its series; null beyond some pixels. */
function nearest(plot, left, top) {
  let best = null;
  let least = NEAR_PIXELS ** 2;
  const [x, ...columns] = plot.data;
  columns.forEach((column, place) => {
    if (!plot.series[place + 1].points.show && !plot.series[place + 1].canPick) return;
    for (let k = 0; k < x.length; k += 1) {
      const y = column[k];
      if (y === null || y === undefined) continue;
      const distance = (plot.valToPos(x[k], "x") - left) ** 2 + (plot.valToPos(y, "y") - top) ** 2;
      if (distance < least) {
        least = distance;
        best = { index: k, column: place };
      }
    }
  });
  return best;
}

function ring(plot, ids, id) {
  const index = id === null ? -1 : ids.indexOf(id);
  if (index < 0) return;
  const y = plot.data.slice(1).map((column) => column[index]).find((each) => each !== null && each !== undefined);
  if (y === undefined) return;
  const pen = plot.ctx;
  pen.save();
  pen.strokeStyle = colour("text");
  pen.lineWidth = 2 * devicePixelRatio;
  pen.beginPath();
  pen.arc(plot.valToPos(plot.data[0][index], "x", true), plot.valToPos(y, "y", true), 6 * devicePixelRatio, 0, 2 * Math.PI);
  pen.stroke();
  pen.restore();
}

/** Lines between points, `[from, to]` by their places. */
function connect(plot, links, values) {
  const pen = plot.ctx;
  const at = (place) => [plot.valToPos(plot.data[0][place], "x", true), plot.valToPos(values[place], "y", true)];
  pen.save();
  pen.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
  pen.clip();
  pen.strokeStyle = colour("faint");
  pen.lineWidth = devicePixelRatio;
  pen.beginPath();
  for (const [from, to] of links) {
    pen.moveTo(...at(from));
    pen.lineTo(...at(to));
  }
  pen.stroke();
  pen.restore();
}

/** Ticks along the lower edge, for jobs that have no value. */
function ticks(plot, places) {
  const pen = plot.ctx;
  pen.save();
  pen.strokeStyle = colour("CRASHED");
  pen.lineWidth = devicePixelRatio;
  for (const x of places) {
    const left = plot.valToPos(x, "x", true);
    if (left < plot.bbox.left || left > plot.bbox.left + plot.bbox.width) continue;
    pen.beginPath();
    pen.moveTo(left, plot.bbox.top + plot.bbox.height);
    pen.lineTo(left, plot.bbox.top + plot.bbox.height - 8 * devicePixelRatio);
    pen.stroke();
  }
  pen.restore();
}

/**
 * @param {{x: number[], series: {label, values, colour, kind, size}[], ids?: string[], crashes?: number[], tip?: (index: number, column: number) => string,
 *   pick?: (id: string) => void, height?: number, links?: [number, number][], linked?: number[]}} props `x` is sorted; `ids` names the job of
 *   each x; `links` are lines between places of x, at the heights in `linked`
 */
export function Plot(props) {
  const { x, series, ids = [], crashes = [], links = [], linked = [], tip, pick, height = 240 } = props;
  const [ref, width] = useWidth();
  const plot = useRef(null);
  const latest = useRef({});
  const [shown, setShown] = useState(null);
  latest.current = { ids, crashes, links, linked };
  const theme = matchMedia("(prefers-color-scheme: dark)").matches + (document.documentElement.dataset.theme || "");
  const form = JSON.stringify([series.map(({ label, kind, colour: name }) => [label, kind, name]), props.xLabel, props.yLabel, props.xTime,
    props.xLog, props.xNames, props.xWhole, props.yLog, props.yRange, height, theme]);
  useEffect(() => {
    if (!width) return undefined;
    const draw = (drawn) => {
      connect(drawn, latest.current.links, latest.current.linked);
      ticks(drawn, latest.current.crashes);
      ring(drawn, latest.current.ids, hover.id);
    };
    const made = new uPlot(optionsOf({ ...props, height }, width, draw), [x, ...series.map((each) => each.values)], ref.current);
    made.over.addEventListener("dblclick", () => { draw.zoomed = false; });
    plot.current = { made, draw };
    const forget = hover.listen(() => made.redraw(false));
    return () => {
      forget();
      made.destroy();
      plot.current = null;
    };
  }, [width, form]);
  useEffect(() => plot.current?.made.setData([x, ...series.map((each) => each.values)], !plot.current.draw.zoomed), [x, ...series.map((each) => each.values)]);
  const move = (event) => {
    const made = plot.current?.made;
    if (!made) return;
    const box = made.over.getBoundingClientRect();
    const found = nearest(made, event.clientX - box.left, event.clientY - box.top);
    hover.set(found && ids.length ? ids[found.index] : null);
    const frame = ref.current.getBoundingClientRect();
    setShown(found && tip ? { text: tip(found.index, found.column), left: event.clientX - frame.left, top: event.clientY - frame.top } : null);
  };
  const leave = () => {
    hover.set(null);
    setShown(null);
  };
  return html`<div class="chart" ref=${ref} onMouseMove=${move} onMouseLeave=${leave} onClick=${() => hover.id && pick?.(hover.id)}>
    ${shown ? html`<div class="tip" style=${{ left: `${Math.min(shown.left + 14, Math.max(0, width - 220))}px`, top: `${shown.top + 14}px` }}>${shown.text}</div>` : null}</div>`;
}
