/** How an experiment is added: by a command, to copy. */
import { usePulse } from "../hooks.js";
import { Dialog } from "../parts/dialog.js";
import { Command } from "../parts/basic.js";
import { html, useState } from "../vendor.js";

export function AddButton() {
  const { data: beat } = usePulse();
  const [open, setOpen] = useState(false);
  if (!beat?.operate) return null;
  return html`<button type="button" class="small" onClick=${() => setOpen(true)}>Add experiment</button>
    ${open ? html`<${Dialog} title="Add an experiment" close=${() => setOpen(false)}>
      <p>Search with a program of your own:</p>
      <${Command} text="schedy run Digits tpe --lr 'loguniform(1e-4, 1)' --maximize accuracy --max-jobs 40 -j 4 -- python train.py" />
      <p>A search that waits for workers:</p><${Command} text="schedy add Digits tpe --lr 'loguniform(1e-4, 1)' --maximize accuracy --max-jobs 40" />
      <p>Jobs by hand:</p><${Command} text="schedy add Mine manual" /><//>` : null}`;
}
