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

  step(from: string, body: Record<string, unknown>): readonly Message[] {
    this.raft.step({ from: peer(from), to: this.raft.self, ...body } as unknown as Message);
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
