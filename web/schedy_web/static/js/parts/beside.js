/** Things beside each other: a column for each, a row for each field. */
import { setQuery } from "../address.js";
import { value } from "../format.js";
import { html } from "../vendor.js";
import { Panel } from "./basic.js";

/** A value, or its difference to that of the pinned column. */
function cell(row, k, pinned) {
  const each = row.values[k];
  const base = pinned >= 0 ? row.values[pinned] : null;
  if (row.differs && k !== pinned && typeof each === "number" && typeof base === "number") return `${each >= base ? "+" : ""}${value(each - base)}`;
  return row.text ? row.text(each, k) : value(each);
}

/**
 * @param {{title: string, label: string, columns: {key: string, style: object, head: any, below: any}[],
 *   rows: {name: string, values: any[], differs?: boolean, text?: (each: any, column: number) => any}[], query: URLSearchParams}} props
 *   `differs` rows are shown as differences once a column is pinned
 */
export function Beside({ title, label, columns, rows, query }) {
  const pin = query.get("pin");
  const pinned = columns.findIndex(({ key }) => key === pin);
  const onlyDiffers = query.get("all") !== "1";
  const shown = rows.filter(({ values }) => !onlyDiffers || new Set(values.map((each) => JSON.stringify(each))).size > 1);
  return html`<${Panel} title=${title} actions=${html`<label><input type="checkbox" checked=${onlyDiffers} onChange=${() => setQuery({ all: onlyDiffers ? 1 : null })} /> only what differs</label>`}>
    <div class="scroll" tabindex="0"><table aria-label=${label}><thead><tr><th scope="col">field</th>${columns.map(({ key, style, head, below }) => html`<th scope="col" class="number" key=${key}>
      <span aria-hidden="true" style=${{ color: style.stroke }}>${style.dash ? "╌" : "━"} </span>${head} <button type="button" aria-pressed=${key === pin}
        onClick=${() => setQuery({ pin: key === pin ? null : key })}>${key === pin ? "unpin" : "pin"}</button><div>${below}</div></th>`)}</tr></thead>
    <tbody>${shown.map((row, place) => html`<tr key=${place}><th scope="row">${row.name}</th>${columns.map(({ key }, k) => html`<td class="number" key=${key}>${cell(row, k, pinned)}</td>`)}</tr>`)}</tbody></table></div>
    ${pinned >= 0 ? html`<div class="faint">Numbers are differences to ${columns[pinned].name ?? pin}.</div>` : null}<//>`;
}
