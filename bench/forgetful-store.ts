import type { Store } from '../src/storage/index.ts';

/** The store of a simulated node that is never started again: what it writes is read by nobody, so it is not kept. */
export class ForgetfulStore implements Store {
  get(): undefined {
    return undefined;
  }

  range(): [] {
    return [];
  }

  async write(): Promise<void> {
    // forgotten
  }

  async writeBehind(): Promise<void> {
    // forgotten
  }

  snapshot() {
    return { get: () => undefined, range: () => [], [Symbol.dispose]: () => undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // holds nothing
  }
}
