/** Making changes: one at a time for each button, and what came of it in words. */
import { send } from "../api.js";
import { say } from "../parts/toasts.js";
import { useState } from "../vendor.js";

/** `[isBusy, run]`: `run(work)` does it unless it is under way, and says what went wrong. */
export function useWork() {
  const [isBusy, setBusy] = useState(false);
  const run = async (work) => {
    if (isBusy) return false;
    setBusy(true);
    try {
      await work();
      return true;
    } catch (error) {
      say(error.message, { kind: "error" });
      return false;
    } finally {
      setBusy(false);
    }
  };
  return [isBusy, run];
}

/** Send a change; say `done`, or that only the broker has it yet. Returns the answer. */
export async function make(method, address, body, done, action) {
  const answer = await send(method, address, body);
  if (answer.stored === false) say("The broker has the change; it will be made when the results service is back.", { kind: "warn" });
  else if (done) say(done, { action });
  return answer;
}
