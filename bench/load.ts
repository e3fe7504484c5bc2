/**
 * Calls again and again with a fixed number in flight, for a time.
 * @returns how many calls were answered, and how long it took until the last answer.
 */
export async function inFlightFor(
  options: { readonly inFlight: number; readonly durationMs: number },
  call: (number: number) => Promise<unknown>,
): Promise<{ readonly count: number; readonly elapsedMs: number }> {
  const startedMs = performance.now();
  let count = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() - startedMs < options.durationMs) {
      count += 1;
      await call(count);
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, lane));
  return { count, elapsedMs: performance.now() - startedMs };
}

/** @returns how long each of `count` calls took, one at a time. Unit: ms. */
export async function oneByOne(count: number, call: (number: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let number = 0; number < count; number += 1) {
    const before = performance.now();
    await call(number);
    times.push(performance.now() - before);
  }
  return times;
}
