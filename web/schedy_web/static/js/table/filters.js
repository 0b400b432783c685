/** Conditions: FIELD OP VALUE, all must hold. */
import { setQuery } from "../address.js";
import { html, useState } from "../vendor.js";

const FORM = /^\s*(\S+?)\s*(<=|>=|!=|=|<|>|~)\s*(.+?)\s*$/;

/** Tell what is wrong with a condition; null if it can be sent. */
export function faultOf(text, fields) {
  const words = text.trim().split(/\s+/);
  if (words.length === 2 && ["missing", "there"].includes(words[1])) return null;
  const found = text.match(FORM);
  if (!found) return "Write FIELD = VALUE, with = != < <= > >= or ~ (contains), or FIELD missing.";
  const name = found[1].replace(/^(hyperparameter|result)\./, "");
  return fields.some((each) => each.field === name || each.field === found[1]) ? null : `No job has a field ${found[1]}.`;
}

export function Filters({ query, fields }) {
  const [text, setText] = useState("");
  const [fault, setFault] = useState(null);
  const conditions = query.getAll("where");
  const add = () => {
    if (!text.trim()) return;
    const wrong = faultOf(text, fields);
    setFault(wrong);
    if (wrong) return;
    setQuery({ where: [...conditions, text.trim()], page: null });
    setText("");
  };
  return html`<span class="row">${conditions.map((each, place) => html`<button type="button" class="chip small" key=${each} title="Remove this condition"
      onClick=${() => setQuery({ where: conditions.filter((_other, k) => k !== place), page: null })}>${each} ✕</button>`)}
    <input data-search type="search" size="18" placeholder="lr < 0.01" aria-label="Add a condition" list="fields" value=${text} aria-invalid=${Boolean(fault)}
      onInput=${(event) => { setText(event.target.value); setFault(null); }} onKeyDown=${(event) => event.key === "Enter" && add()} />
    <datalist id="fields">${fields.map((each) => html`<option key=${each.source + each.field} value=${each.field}></option>`)}</datalist>
    ${fault ? html`<span class="CRASHED" role="alert">${fault}</span>` : null}</span>`;
}
