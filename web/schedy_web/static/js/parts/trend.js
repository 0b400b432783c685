/** The best value so far as a small line. */
import { value } from "../format.js";
import { html } from "../vendor.js";

const WIDTH = 100;
const HEIGHT = 20;

/** `points` are `[jobs that had ended, best value]`, of each improvement; `ended` is how many have ended by now. */
export function Trend({ points, ended, name }) {
  const drawn = (points || []).filter(([, best]) => Number.isFinite(best));
  if (!drawn.length) return null;
  const values = drawn.map(([, best]) => best);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const x = (place) => (WIDTH * place) / Math.max(ended, drawn.at(-1)[0], 1);
  const y = (best) => HEIGHT - 1 - ((HEIGHT - 2) * (best - low)) / (high - low || 1);
  const [first, ...rest] = drawn;
  const path = [`M${x(first[0]).toFixed(1)} ${y(first[1]).toFixed(1)}`, ...rest.map(([place, best]) => `H${x(place).toFixed(1)}V${y(best).toFixed(1)}`), `H${WIDTH}`].join("");
  const words = `${name} from ${value(values[0])} to ${value(values.at(-1))}`;
  return html`<svg class="trend" role="img" aria-label=${words} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} width=${WIDTH} height=${HEIGHT} preserveAspectRatio="none">
    <title>${words}</title><path d=${path} fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" /></svg>`;
}
