/** Keeps the process alive, also while there is no socket to do it. */
export function keepAlive(): Disposable {
  const handle = setInterval(() => undefined, 2 ** 30);
  return { [Symbol.dispose]: () => clearInterval(handle) };
}
