/** What is shown to those who have no token. */
import { prefix } from "../api.js";
import { html, useState } from "../vendor.js";

export function Login() {
  const [token, setToken] = useState("");
  const enter = () => {
    if (token.trim()) location.assign(`${prefix}/?token=${encodeURIComponent(token.trim())}`);
  };
  return html`<main id="main"><h1>Schedy</h1>
    <p>This address needs a token. Open the link that <code>schedy ui</code> or <code>schedy status</code> printed, or paste the token.</p>
    <div class="row">
      <label>Token <input type="password" autocomplete="off" value=${token} onInput=${(event) => setToken(event.target.value)}
        onKeyDown=${(event) => event.key === "Enter" && enter()} /></label>
      <button type="button" class="main" onClick=${enter}>Go</button>
    </div></main>`;
}
