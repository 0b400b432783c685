/** The frame of a chart: title, text alternative, picture and table. */
import { html, useState } from "../vendor.js";
import { Panel } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { value } from "../format.js";

function savePicture(panel, name) {
  const canvas = panel?.querySelector("canvas");
  if (!canvas) return;
  const whole = document.createElement("canvas");
  whole.width = canvas.width;
  whole.height = canvas.height;
  const pen = whole.getContext("2d");
  pen.fillStyle = getComputedStyle(document.body).backgroundColor;
  pen.fillRect(0, 0, whole.width, whole.height);
  pen.drawImage(canvas, 0, 0);
  const link = document.createElement("a");
  link.download = `${name}.png`;
  link.href = whole.toDataURL("image/png");
  link.click();
}

function AsTable({ title, table, close }) {
  return html`<${Dialog} title=${title} close=${close}><div class="scroll" tabindex="0"><table>
    <thead><tr>${table.header.map((each) => html`<th scope="col" key=${each}>${each}</th>`)}</tr></thead>
    <tbody>${table.rows.slice(0, 500).map((row, k) => html`<tr key=${k}>${row.map((each) => html`<td>${value(each)}</td>`)}</tr>`)}</tbody>
  </table></div><//>`;
}

/**
 * @param {{title: string, text: string, className: string, controls: any, table: () => {header: string[], rows: any[][]}}} props
 */
export function Chart({ title, text, className, controls, table, children }) {
  const [shows, setShows] = useState(false);
  const save = (event) => savePicture(event.target.closest("section"), title);
  return html`<${Panel} title=${title} className=${className} actions=${html`${controls}
      ${table ? html`<button type="button" class="small" onClick=${() => setShows(true)}>as table</button>` : null}
      <button type="button" class="small" onClick=${save}>PNG</button>`}>
    <div role="figure" aria-label=${text}>${children}</div>
    <div class="faint">${text}</div>
    ${shows ? html`<${AsTable} title=${title} table=${table()} close=${() => setShows(false)} />` : null}
  <//>`;
}
