/** A dialog: the browser's own, so that focus stays in it and returns where it was. */
import { html, useEffect, useRef } from "../vendor.js";

export function Dialog({ title, children, close }) {
  const ref = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${ref} aria-label=${title} onClose=${close}>
    <div class="column">
      <div class="row"><h1 class="grow">${title}</h1>
        <button type="button" class="small" onClick=${() => ref.current.close()} aria-label="Close">✕</button></div>
      ${children}
    </div>
  </dialog>`;
}
