import type { LogIndex, PeerId, Term } from '../../../../src/base/brand.ts';
import { SeededRandom } from '../../../../src/base/random.ts';
import {
  type Configuration,
  type Entry,
  type Message,
  Raft,
  type RaftComponents,
  type RaftOptions,
  type Ready,
} from '../../../../src/lease/raft/index.ts';
import { Disk } from '../../../sim/raft/disk.ts';

export const peer = (name: string): PeerId => name as PeerId;
export const at = (index: number): LogIndex => index as LogIndex;
export const term = (n: number): Term => n as Term;
export const peers = (...names: string[]): PeerId[] => names as PeerId[];

export function voters(...names: string[]): Configuration {
  return { voters: peers(...names), outgoing: [], learners: [] };
}

export function command(index: number, ofTerm: number): Entry {
  return { index: at(index), term: term(ofTerm), kind: 'command', payload: new Uint8Array([index]) };
}

type Body = Record<string, unknown>;

/** Bodies of messages, of term 1 and of an empty log where nothing else is said. */
export const append = (over: Body = {}): Body => ({
  type: 'append',
  term: 1,
  previousIndex: 0,
  previousTerm: 0,
  entries: [],
  commitIndex: 0,
  ...over,
});
export const heartbeat = (over: Body = {}): Body => ({
  type: 'heartbeat',
  term: 1,
  commitIndex: 0,
  round: 0,
  ...over,
});
export const voteRequest = (over: Body = {}): Body => ({
  type: 'vote',
  term: 1,
  lastIndex: 0,
  lastTerm: 0,
  isTransfer: false,
  ...over,
});
export const preVoteRequest = (over: Body = {}): Body => voteRequest({ type: 'preVote', ...over });

export interface Given {
  readonly configuration?: Configuration;
  readonly entries?: readonly Entry[];
  readonly term?: number;
  readonly votedFor?: PeerId | null;
  readonly commit?: number;
  readonly options?: Partial<RaftOptions>;
  readonly commitRule?: RaftComponents['commitRule'];
  readonly monotonicMs?: () => number;
}

/** One core with a disk that writes when the test says so; everything it did is kept. */
export class Bench {
  readonly disk: Disk;
  readonly raft: Raft;
  readonly readies: Ready[] = [];
  sent: Message[] = [];
  applied: Entry[] = [];

  constructor(self: string, given: Given = {}) {
    const configuration = given.configuration ?? voters('a', 'b', 'c');
    this.disk = new Disk(configuration);
    const hardState = {
      term: term(given.term ?? 0),
      votedFor: given.votedFor ?? null,
      commitIndex: at(given.commit ?? 0),
    };
    this.disk.write({ hardState, truncateFrom: null, entries: given.entries ?? [] });
    this.raft = new Raft(
      { self: peer(self), ...given.options },
      {
        random: new SeededRandom(7),
        log: this.disk,
        commitRule: given.commitRule,
        monotonicMs: given.monotonicMs,
      },
      { hardState, configuration: this.disk.latestConfiguration(), appliedIndex: at(given.commit ?? 0) },
    );
  }

  /** Takes one Ready without writing it. */
  take(): Ready {
    const ready = this.raft.takeReady();
    this.readies.push(ready);
    this.applied.push(...ready.commit);
    return ready;
  }

  write(ready: Ready): void {
    if (ready.persist === null) return;
    this.disk.write(ready.persist);
    this.raft.persisted(ready.sequence);
  }

  /** Takes and writes until there is nothing left. @returns what was sent meanwhile. */
  settle(): readonly Message[] {
    this.sent = [];
    while (this.raft.hasReady()) {
      const ready = this.take();
      this.sent.push(...ready.send);
      this.write(ready);
      this.sent.push(...ready.sendAfterPersist);
    }
    return this.sent;
  }

  /** Takes one message in, and lets its duties wait. */
  hear(from: string, body: Body): void {
    this.raft.step({ from: peer(from), to: this.raft.self, ...body } as unknown as Message);
  }

  step(from: string, body: Body): readonly Message[] {
    this.hear(from, body);
    return this.settle();
  }

  ticks(count: number): readonly Message[] {
    const sent: Message[] = [];
    for (let n = 0; n < count; n += 1) {
      this.raft.tick();
      sent.push(...this.settle());
    }
    return sent;
  }

  /** Wins the next election with the votes of `from`. */
  elect(...from: string[]): readonly Message[] {
    this.raft.campaign();
    this.settle();
    const next = this.raft.state.term + (this.raft.state.role === 'preCandidate' ? 1 : 0);
    for (const name of from) this.step(name, { type: 'preVoteReply', term: next, isGranted: true });
    const sent: Message[] = [];
    for (const name of from)
      sent.push(...this.step(name, { type: 'voteReply', term: next, isGranted: true }));
    return sent;
  }

  accept(from: string, matchIndex: number): readonly Message[] {
    return this.step(from, { type: 'appendAccepted', term: this.raft.state.term, matchIndex });
  }
}

/** A leader of the term after `given.term` whose empty entry b and c hold. */
export function leaderOf(given: Given = {}): Bench {
  const bench = new Bench('a', given);
  bench.elect('b');
  for (const name of ['b', 'c']) bench.accept(name, bench.raft.state.lastIndex);
  return bench;
}

/** Carries messages between cores until all are silent. */
export function exchange(...benches: readonly Bench[]): void {
  const limit = 1_000;
  for (let round = 0; round < limit; round += 1) {
    const sent = benches.flatMap((bench) => bench.settle());
    if (sent.length === 0) return;
    for (const message of sent) benches.find(({ raft }) => raft.self === message.to)?.raft.step(message);
  }
  throw new Error(`the cores still talk after ${limit} rounds`);
}

/** @returns terms of the entries on disk, from the first index on. */
export function termsOf({ disk }: Bench): number[] {
  const entries = disk.entries(disk.firstIndex(), at(disk.lastIndex() + 1), Number.POSITIVE_INFINITY);
  return entries.map((entry) => entry.term);
}

type OfType<T extends Message['type']> = Message extends infer M
  ? M extends Message
    ? T extends M['type']
      ? M
      : never
    : never
  : never;

/** @returns the messages of one type, to one peer if named. */
export function ofType<T extends Message['type']>(
  messages: readonly Message[],
  type: T,
  to?: string,
): OfType<T>[] {
  const found = messages.filter(
    (message) => message.type === type && (to === undefined || message.to === to),
  );
  return found as OfType<T>[];
}
