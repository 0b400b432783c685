/** The server's clock, by which the times of jobs are told: that of this machine may be an hour away from it. */

const UNSURE_MS = 2000;
let ahead = 0;

/** What the server's clock shows now, in milliseconds. */
export function now() {
  return Date.now() + ahead;
}

/** Learn from the Date of an answer, which has whole seconds, and from when it was asked for. */
export function learn(date, sent) {
  const shown = Date.parse(date) + 500;
  if (Number.isNaN(shown)) return;
  const difference = shown - (sent + Date.now()) / 2;
  ahead = Math.abs(difference) > UNSURE_MS ? difference : 0;
}
