import { AspenError, type Clock, every, type Logger, type PeerId, Tasks } from '../base/index.ts';
import type { Messenger } from './messenger.ts';
import { decodeRootEntry, encodeRootEntry, ROOT_ENTRY_BYTES_LIMIT } from './root-book.ts';
import { ROOT_LIST_BYTES_LIMIT } from './root-list.ts';
import type { Roots } from './roots.ts';

export interface RootExchangeComponents {
  readonly messenger: Messenger;
  readonly roots: Roots;
  readonly clock: Clock;
  readonly log: Logger;
}

const ROOTS_METHOD = 'mesh.roots';
const LIST_METHOD = 'mesh.root-list';
const TIMEOUT_MS = 5_000;
/** What was lost on the way is asked for again. */
const AGAIN_MS = 10_000;
/** Most entries in one message. */
const ENTRIES_LIMIT = 64;

/**
 * Linked members tell each other the root keys they believe, the vouches for them, and the list of what stays valid.
 *
 * - X1 Each hears of every key, vouch and list that a linked member has; what each believes of it is its own to decide (R1).
 */
export class RootExchange implements Disposable {
  readonly #components: RootExchangeComponents;
  readonly #log: Logger;
  readonly #tasks: Tasks;
  readonly #subscriptions: readonly Disposable[];
  #turn = 0;
  #isFetching = false;
  #doubt: { readonly number: number; readonly text: string } | undefined;

  constructor(components: RootExchangeComponents) {
    const { messenger, roots, clock, log } = components;
    this.#components = components;
    this.#log = log.child({ part: 'roots' });
    this.#tasks = new Tasks((err) =>
      this.#log.error({ err }, 'telling of root keys failed in an unknown way'),
    );
    this.#subscriptions = [
      messenger.handle(ROOTS_METHOD, ({ from, body }) => this.#onRoots(from, body)),
      messenger.handle(LIST_METHOD, ({ body }) => this.#listOf(body)),
      messenger.onPeer(({ peerId, type }) => {
        if (type === 'opened') this.#exchangeWith(peerId);
      }),
      roots.onChange((change) => {
        if (change === 'key') this.#log.info({ number: roots.number }, 'the mesh has another root key');
        if (change === 'key' || change === 'vouch')
          for (const peer of messenger.connected()) this.#exchangeWith(peer);
      }),
      every(clock, AGAIN_MS, () => this.#again()),
    ];
  }

  /** What people should know: a root key that this node cannot believe. */
  problem(): string | undefined {
    const { number } = this.#components.roots;
    return this.#doubt === undefined || this.#doubt.number <= number ? undefined : this.#doubt.text;
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    this.#tasks
      .stop()
      .catch((err: unknown) => this.#log.error({ err }, 'telling of root keys did not end well'));
  }

  /** One linked member after the other. */
  #again(): void {
    const peers = this.#components.messenger.connected();
    this.#turn += 1;
    const peer = peers[this.#turn % Math.max(1, peers.length)];
    if (peer !== undefined) this.#exchangeWith(peer);
  }

  #exchangeWith(peer: PeerId): void {
    this.#tasks.run(async (signal) => {
      try {
        const { messenger, roots } = this.#components;
        const body = { from: Math.max(1, roots.number), entries: this.#own(roots.number) };
        const answer = await messenger.request(peer, ROOTS_METHOD, body, { timeoutMs: TIMEOUT_MS, signal });
        this.#hear(peer, answer);
        await this.#fetchList(peer, signal);
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        this.#log.debug({ err, peer }, 'no exchange of root keys with this peer');
      }
    });
  }

  /** @returns what it has from number `from` on, and what it waits for others to vouch for. */
  #own(from: number): Uint8Array[] {
    const { roots } = this.#components;
    const { pending } = roots;
    const believed = roots.entries(Math.max(1, from)).slice(0, ENTRIES_LIMIT - 1);
    return pending === undefined ? [...believed] : [...believed, encodeRootEntry(pending)];
  }

  #onRoots(from: PeerId, body: unknown): unknown {
    const { number } = this.#components.roots;
    const { asked, highest } = this.#hear(from, body);
    if (highest > number + 1 && highest > this.#components.roots.number) this.#exchangeWith(from);
    if (this.#components.roots.lacksList) this.#exchangeWith(from);
    return { from: 0, entries: this.#own(asked) };
  }

  #hear(from: PeerId, body: unknown): { readonly asked: number; readonly highest: number } {
    const { asked, entries } = readRoots(body);
    let highest = 0;
    for (const entry of entries) {
      const { number } = decodeRootEntry(entry).succession;
      highest = Math.max(highest, number);
      try {
        this.#components.roots.learn(entry);
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        this.#log.info({ err, from, number }, 'a peer tells of a root key that is not believed here');
        if (number === this.#components.roots.number + 1) this.#doubt = { number, text: err.message };
      }
    }
    return { asked, highest };
  }

  /** From one at a time. */
  async #fetchList(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { roots, messenger } = this.#components;
    if (!roots.lacksList || this.#isFetching) return;
    this.#isFetching = true;
    try {
      const options = { timeoutMs: TIMEOUT_MS, priority: 'bulk', signal } as const;
      const list = await messenger.request(peer, LIST_METHOD, { number: roots.number }, options);
      if (list instanceof Uint8Array && list.length <= ROOT_LIST_BYTES_LIMIT && roots.lacksList)
        roots.setList(list);
    } finally {
      this.#isFetching = false;
    }
  }

  #listOf(body: unknown): Uint8Array | null {
    const { roots } = this.#components;
    const { number } = (body ?? {}) as { readonly number?: unknown };
    return number === roots.number ? (roots.list ?? null) : null;
  }
}

/** @throws AspenError INVALID_PARAMS */
function readRoots(body: unknown): { readonly asked: number; readonly entries: readonly Uint8Array[] } {
  const { from, entries } = (typeof body === 'object' && body !== null ? body : {}) as {
    readonly from?: unknown;
    readonly entries?: unknown;
  };
  const areEntries =
    Array.isArray(entries) &&
    entries.length <= ENTRIES_LIMIT &&
    entries.every((entry) => entry instanceof Uint8Array && entry.length <= ROOT_ENTRY_BYTES_LIMIT);
  if (!Number.isSafeInteger(from) || !areEntries)
    throw new AspenError('INVALID_PARAMS', `${ROOTS_METHOD}: malformed list of root keys`);
  return { asked: from as number, entries: entries as Uint8Array[] };
}
