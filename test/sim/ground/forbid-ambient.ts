import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import dgram from 'node:dgram';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';

/** A part reached past its ports for real time, chance or the outside world; the run could not be repeated. */
export class AmbientError extends Error {
  override readonly name = 'AmbientError';

  constructor(what: string) {
    super(`${what} is forbidden in a simulated run: use the port`);
  }
}

const CRYPTO = [
  'randomBytes',
  'randomFillSync',
  'randomFill',
  'randomUUID',
  'randomInt',
  'getRandomValues',
  'scrypt',
  'pbkdf2',
  'generateKeyPair',
];
const TIMERS = ['setTimeout', 'setInterval', 'setImmediate'];
const FILES = [
  'readFile',
  'writeFile',
  'open',
  'readdir',
  'stat',
  'readFileSync',
  'writeFileSync',
  'openSync',
];

/** Whose function is taken away, and under which name. */
const FORBIDDEN: readonly (readonly [string, object, readonly string[]])[] = [
  ['', globalThis, [...TIMERS, 'fetch']],
  ['timers.', timers, TIMERS],
  ['timers/promises.', timersPromises, TIMERS],
  ['Math.', Math, ['random']],
  ['performance.', performance, ['now']],
  ['process.', process, ['hrtime']],
  ['AbortSignal.', AbortSignal, ['timeout']],
  ['crypto.', crypto, CRYPTO],
  ['globalThis.crypto.', globalThis.crypto, ['getRandomValues', 'randomUUID']],
  ['fs.', fs, FILES],
  ['fs.promises.', fs.promises, ['readFile', 'writeFile', 'open', 'readdir', 'stat']],
  ['net.', net, ['connect', 'createConnection', 'createServer']],
  ['dgram.', dgram, ['createSocket']],
  ['child_process.', childProcess, ['spawn', 'exec', 'execFile', 'fork']],
];

let isForbidden = false;

/**
 * Takes real time, chance and I/O away from everything in this process until disposed. Modules must be loaded before: loading reads
 * files and the clock.
 * @throws Error when a run of this process goes on, as one does that a test runner has given up: what two of them restored would not be
 * what was there before, and the ban would outlive both.
 */
export function forbidAmbient(): Disposable {
  if (isForbidden)
    throw new Error('another simulated run of this process is under way: one comes after the other');
  isForbidden = true;
  const restore = FORBIDDEN.flatMap(([prefix, owner, names]) =>
    names
      .filter((name) => isReplaceable(owner, name))
      .map((name) => replace(owner, name, forbidden(prefix + name))),
  );
  restore.push(replace(globalThis, 'Date', timelessDate()));
  syncBuiltinESMExports();
  return {
    [Symbol.dispose]() {
      if (!isForbidden) return;
      isForbidden = false;
      for (const undo of restore.reverse()) undo();
      syncBuiltinESMExports();
    },
  };
}

/** A few of Node's own are fixed; what they call is taken away too. */
function isReplaceable(owner: object, name: string): boolean {
  return name in owner && Object.getOwnPropertyDescriptor(owner, name)?.configurable !== false;
}

function forbidden(what: string): () => never {
  return () => {
    throw new AmbientError(what);
  };
}

/** Dates of a given instant go on working. */
function timelessDate(): typeof Date {
  return new Proxy(Date, {
    get: (target, name, receiver) =>
      name === 'now' ? forbidden('Date.now') : Reflect.get(target, name, receiver),
    apply: forbidden('Date()'),
    construct(target, args, newTarget) {
      if (args.length === 0) throw new AmbientError('new Date()');
      return Reflect.construct(target, args, newTarget);
    },
  });
}

function replace(owner: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, {
    value,
    configurable: true,
    writable: true,
    enumerable: before?.enumerable ?? false,
  });
  return () => {
    if (before === undefined) Reflect.deleteProperty(owner, name);
    else Object.defineProperty(owner, name, before);
  };
}
