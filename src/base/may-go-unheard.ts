/**
 * Says of a promise that everybody who waits for it is told of its failure, and that it is no fault when nobody waits: alone its rejection is not
 * reported as unhandled.
 * @returns the same promise, which rejects as before for whoever waits for it.
 */
export function mayGoUnheard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
