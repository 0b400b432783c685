/** Which columns are shown. */
import { Dialog } from "../parts/dialog.js";
import { html, useState } from "../vendor.js";
import { allColumns } from "./columns.js";

export function ColumnChooser({ experiment, columns, choose }) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const shown = columns.map((column) => column.field);
  const toggle = (field) => choose(shown.includes(field) ? shown.filter((each) => each !== field) : [...shown, field]);
  const found = allColumns(experiment).filter((column) => column.field.toLowerCase().includes(text.toLowerCase()));
  return html`<button type="button" class="small" onClick=${() => setOpen(true)}>Columns</button>
    ${open ? html`<${Dialog} title="Columns" close=${() => setOpen(false)}>
      <div class="row"><input type="search" placeholder="search" aria-label="Search columns" value=${text} onInput=${(event) => setText(event.target.value)} />
        <button type="button" onClick=${() => choose(null)}>as by default</button></div>
      ${found.map((column) => html`<label key=${column.field}><input type="checkbox" checked=${shown.includes(column.field)} onChange=${() => toggle(column.field)} /> ${column.field}</label>`)}
    <//>` : null}`;
}
