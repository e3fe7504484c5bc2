import { existsSync, writeFileSync } from 'node:fs';

const FAKETIME_PATHS = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1',
];

/** A wall clock of an agent's own, which a test can set; its monotonic clock goes on as it is. */
export class WallClock {
  readonly #file: string;

  /** @param file where its offset is kept. */
  constructor(file: string) {
    this.#file = file;
    this.set(0);
  }

  static get isAvailable(): boolean {
    return FAKETIME_PATHS.some((path) => existsSync(path));
  }

  /** For the agent's environment. @throws Error without libfaketime. */
  get env(): Record<string, string> {
    const library = FAKETIME_PATHS.find((path) => existsSync(path));
    if (library === undefined) throw new Error('there is no libfaketime (apt-get install faketime)');
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      // Its default takes a time of the monotonic clock for one of the wall clock: each timed wait then ends at once, and the store, which
      // lets a wait that met nothing be followed by one twice as long, soon waits for centuries (libfaketime 0.9.10).
      FAKETIME_FORCE_MONOTONIC_FIX: '0',
      FAKETIME_DONT_RESET: '1',
    };
  }

  set(aheadS: number): void {
    writeFileSync(this.#file, `${aheadS < 0 ? '' : '+'}${aheadS}\n`);
  }
}
