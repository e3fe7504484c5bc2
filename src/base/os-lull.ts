/** A turn of the event loop that took less had nothing to do. Unit: ms. */
const EMPTY_TURN_MS = 0.1;
/** What waits for a lull also comes to its turn where there is none. Unit: ms. */
const LONGEST_WAIT_MS = 5;

/** A lull of this process: one turn of its event loop in which nothing was to be done. */
export function osLull(): Promise<void> {
  return new Promise((resolve) => {
    const beganMs = performance.now();
    const look = (turnBeganMs: number): void => {
      const nowMs = performance.now();
      if (nowMs - turnBeganMs < EMPTY_TURN_MS || nowMs - beganMs >= LONGEST_WAIT_MS) resolve();
      else setImmediate(look, nowMs);
    };
    setImmediate(() => setImmediate(look, performance.now()));
  });
}
