import { decode, encode, SlotMap } from '../../base/index.ts';
import { type Key, keyNumber, numberKey, prefixEnd, textKey } from '../../storage/index.ts';
import type { ClientRequest } from './batch.ts';
import { type CommandOutcome, fromWireOutcome, toWireOutcome, type WireOutcome } from './outcome.ts';
import { type TableStore, tablePrefix, type WriteHash } from './tables.ts';

interface OutcomeRecord {
  readonly key: Key;
  readonly sequences: readonly number[];
}

interface ClientMemory {
  readonly name: string;
  through: number;
  lastMs: number;
  readonly outcomes: SlotMap<number, WireOutcome>;
  /** Oldest first: what one log entry recorded for this client. */
  readonly records: OutcomeRecord[];
  fresh: [number, WireOutcome][];
}

/** How long a silent client is remembered, in group time: far longer than any retry lasts. */
const FORGET_CLIENT_AFTER_MS = 24 * 3_600_000;

/** Outcomes kept for one client that never acknowledges; beyond it its commands are refused. */
export const CLIENT_OUTCOMES_LIMIT = 100_000;

/**
 * Outcomes by client and sequence, so that a command that arrives again has no second effect.
 *
 * - X1 A sequence that was recorded is answered from the record, refusals too.
 * - X2 A sequence at or below what its client acknowledged is never applied: nobody waits for it any more.
 *
 * One record per client and log entry, dropped when the client has acknowledged all of it.
 */
export class ClientOutcomes {
  readonly #store: TableStore;
  readonly #hash: WriteHash;
  readonly #clientsPrefix: Key;
  readonly #outcomesPrefix: Key;
  readonly #clients = new Map<string, ClientMemory>();
  readonly #touched = new Set<ClientMemory>();

  constructor(store: TableStore, space: Key, hash: WriteHash) {
    this.#store = store;
    this.#hash = hash;
    this.#clientsPrefix = tablePrefix(space, '0', 'clients');
    this.#outcomesPrefix = tablePrefix(space, '0', 'outcomes');
    this.#load();
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  /** @returns the recorded outcome, why it must not be applied, or undefined when it is new. */
  find(request: ClientRequest, groupMs: number): CommandOutcome | 'acknowledged' | 'too-many' | undefined {
    const client = this.#clients.get(request.client) ?? this.#meet(request.client, groupMs);
    client.lastMs = groupMs;
    this.#touched.add(client);
    if (request.acknowledgedThrough > client.through) this.#acknowledge(client, request.acknowledgedThrough);
    if (request.sequence <= client.through) return 'acknowledged'; // X2
    const recorded = client.outcomes.get(request.sequence);
    if (recorded !== undefined) return fromWireOutcome(recorded); // X1
    return client.outcomes.size >= CLIENT_OUTCOMES_LIMIT ? 'too-many' : undefined;
  }

  record({ client: name, sequence }: ClientRequest, outcome: CommandOutcome): void {
    const client = this.#clients.get(name) as ClientMemory;
    const wire = toWireOutcome(outcome);
    client.outcomes.set(sequence, wire);
    client.fresh.push([sequence, wire]);
  }

  /** Writes down what the entry at `index` added; called once at the end of every entry. */
  endEntry(index: number): void {
    for (const client of this.#touched) {
      this.#put(this.#clientsPrefix + textKey(client.name), encode([client.through, client.lastMs]));
      if (client.fresh.length > 0) this.#writeFresh(client, index);
    }
    this.#touched.clear();
  }

  #writeFresh(client: ClientMemory, index: number): void {
    const key = `${this.#outcomesPrefix}${textKey(client.name)}/${numberKey(index)}`;
    this.#put(key, encode(client.fresh));
    client.records.push({ key, sequences: client.fresh.map(([sequence]) => sequence) });
    client.fresh = [];
  }

  #meet(name: string, groupMs: number): ClientMemory {
    this.#forgetSilent(groupMs);
    const client = newClient(name, 0, groupMs);
    this.#clients.set(name, client);
    return client;
  }

  #acknowledge(client: ClientMemory, through: number): void {
    client.through = through;
    let covered = 0;
    for (const { key, sequences } of client.records) {
      if (sequences.some((sequence) => sequence > through)) break;
      this.#drop(key);
      for (const sequence of sequences) client.outcomes.delete(sequence);
      covered += 1;
    }
    client.records.splice(0, covered);
  }

  #forgetSilent(groupMs: number): void {
    const silent = [...this.#clients.values()].filter(
      ({ lastMs }) => lastMs < groupMs - FORGET_CLIENT_AFTER_MS,
    );
    for (const client of silent.sort((left, right) => (left.name < right.name ? -1 : 1))) {
      for (const { key } of client.records) this.#drop(key);
      this.#drop(this.#clientsPrefix + textKey(client.name));
      this.#clients.delete(client.name);
      this.#touched.delete(client);
    }
  }

  #put(key: Key, value: Uint8Array): void {
    this.#hash.add(key, value);
    this.#store.put(key, value);
  }

  #drop(key: Key): void {
    this.#hash.add(key, undefined);
    this.#store.delete(key);
  }

  #load(): void {
    const clients = this.#clientsPrefix;
    for (const [key, bytes] of this.#store.range({ from: clients, to: prefixEnd(clients) })) {
      const name = key.slice(clients.length);
      const [through, lastMs] = decode(bytes) as [number, number];
      this.#clients.set(name, newClient(name, through, lastMs));
    }
    for (const client of this.#clients.values()) this.#loadOutcomes(client);
  }

  #loadOutcomes(client: ClientMemory): void {
    const prefix = `${this.#outcomesPrefix}${textKey(client.name)}/`;
    for (const [key, bytes] of this.#store.range({ from: prefix, to: prefixEnd(prefix) })) {
      if (key.length !== prefix.length + 8 || keyNumber(key, prefix.length) <= 0) continue;
      const recorded = decode(bytes) as [number, WireOutcome][];
      for (const [sequence, wire] of recorded) client.outcomes.set(sequence, wire);
      client.records.push({ key, sequences: recorded.map(([sequence]) => sequence) });
    }
  }
}

function newClient(name: string, through: number, lastMs: number): ClientMemory {
  return { name, through, lastMs, outcomes: new SlotMap(), records: [], fresh: [] };
}
