/**
 * Observers that know only the law (Raft paper, figure 3), never how the core obeys it.
 */
import type { PeerId } from '../../../src/base/brand.ts';
import type { Entry, Message } from '../../../src/lease/raft/index.ts';
import type { MachineState } from './disk.ts';

/** Something that must never happen happened. */
export class LawBroken extends Error {
  override readonly name = 'LawBroken';
}

export function keyOf(entry: Entry): string {
  const content = entry.configuration ? JSON.stringify(entry.configuration) : entry.payload.join('.');
  return `${entry.term}:${entry.kind}:${content}`;
}

export function chained(chain: number, key: string): number {
  let hash = chain ^ 0x5bd1e995;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

interface Committed {
  readonly key: string;
  readonly chain: number;
  readonly term: number;
  /** Term of the first node seen to apply it: at least the term in which it was committed. */
  readonly seenInTerm: number;
}

export type LogView = (index: number) => Entry | undefined;

export class Laws {
  /** `#committed[i]` is entry i; [0] stands for the beginning. */
  readonly #committed: Committed[] = [{ key: '', chain: 0, term: 0, seenInTerm: 0 }];
  readonly #leaders = new Map<number, PeerId>();
  readonly #votes = new Map<string, PeerId>();

  get committedIndex(): number {
    return this.#committed.length - 1;
  }

  /** Election safety: at most one leader per term. */
  leads(peer: PeerId, term: number): void {
    const known = this.#leaders.get(term) ?? peer;
    this.#require(known === peer, () => `two leaders in term ${term}: ${known} and ${peer}`);
    this.#leaders.set(term, peer);
  }

  /** A vote that left its node: one per term. */
  sent(message: Message): void {
    if (message.type === 'voteReply' && message.isGranted) this.#vote(message.from, message.to, message.term);
    if (message.type === 'vote') this.#vote(message.from, message.from, message.term);
  }

  /** Leader completeness: what was committed in earlier terms is in the log of every later leader. */
  elected(peer: PeerId, term: number, log: LogView, firstIndex: number): void {
    for (let index = firstIndex; index <= this.committedIndex; index += 1) {
      const { key, seenInTerm } = this.#committed[index] as Committed;
      if (seenInTerm >= term) continue;
      const entry = log(index);
      const held = entry === undefined ? 'nothing' : keyOf(entry);
      this.#require(
        held === key,
        () => `leader ${peer} of term ${term} lacks committed ${index}: ${key}, has ${held}`,
      );
    }
  }

  /** State machine safety: every node applies the same entries in the same order. @returns the state after it. */
  applied(peer: PeerId, before: MachineState, entry: Entry, term: number): MachineState {
    this.#require(
      entry.index === before.index + 1,
      () => `${peer} applied ${entry.index} after ${before.index}`,
    );
    const key = keyOf(entry);
    const chain = chained(before.chain, key);
    const known = this.#committed[entry.index];
    if (known === undefined) {
      this.#committed.push({ key, chain, term: entry.term, seenInTerm: term });
    } else {
      this.#require(
        known.key === key,
        () => `${peer} applied ${entry.index} as ${key}, others as ${known.key}`,
      );
      this.#require(known.chain === chain, () => `${peer} has another state at ${entry.index}`);
    }
    return {
      index: entry.index,
      term: entry.term,
      chain,
      configuration: entry.configuration ?? before.configuration,
    };
  }

  /** A snapshot stands for exactly what was committed. */
  installed(peer: PeerId, state: MachineState): void {
    const known = this.#committed[state.index];
    this.#require(known?.chain === state.chain, () => `${peer} installed a foreign state at ${state.index}`);
  }

  /** Log matching: the same index and term mean the same log up to there. */
  match(
    a: { peer: PeerId; log: LogView },
    b: { peer: PeerId; log: LogView },
    range: { from: number; to: number },
  ): void {
    let areSame = false;
    for (let index = range.to; index >= range.from; index -= 1) {
      const [first, second] = [a.log(index), b.log(index)];
      if (first === undefined || second === undefined) continue;
      areSame ||= first.term === second.term;
      this.#require(
        !areSame || keyOf(first) === keyOf(second),
        () => `logs of ${a.peer} and ${b.peer} agree later but differ at ${index}`,
      );
    }
  }

  /** A linearizable read sees at least what was committed when it was asked for. */
  read(peer: PeerId, index: number, floor: number): void {
    this.#require(
      index >= floor,
      () => `${peer} serves a read at ${index}, ${floor} was committed when it was asked`,
    );
  }

  /** An acknowledged command stays where it was. */
  acknowledged(index: number, key: string): void {
    const known = this.#committed[index]?.key;
    this.#require(known === key, () => `acknowledged ${key} at ${index} is gone: ${known}`);
  }

  #vote(voter: PeerId, candidate: PeerId, term: number): void {
    const ballot = `${voter} in ${term}`;
    const known = this.#votes.get(ballot) ?? candidate;
    this.#require(known === candidate, () => `${ballot} voted for ${known} and ${candidate}`);
    this.#votes.set(ballot, candidate);
  }

  #require(holds: boolean, message: () => string): void {
    if (!holds) throw new LawBroken(message());
  }
}
