import { AspenError, type Clock, type Logger, type LogIndex, type PeerId, sleep } from '../base/index.ts';
import type { GroupClient, LeaderRequest, Leadership } from './group.ts';
import type { Configuration, RaftState } from './raft/index.ts';

const READMIT_METHOD = 'group/readmit';
const POSITION_METHOD = 'group/position';
const ASK_EVERY_MS = 1_000;
/** Unit: characters. */
const REASON_LIMIT = 500;
const ASK_TIMEOUT_MS = 5_000;
const INCARNATION = /^[0-9a-zA-Z]{1,64}$/;

/**
 * Voters whose disk was lost, as the leader knows them.
 *
 * A node that lost its log and its vote may break the group by speaking in its old place: it could vote a second time in a term, or confirm
 * to an old leader what it has already confirmed to a newer one.
 *
 * - Q1: such a node sends no message of the group at all until a configuration without it is committed. That takes a majority of the old
 *   voters none of whom is the node itself, so every majority it could belong to by an old configuration holds somebody who knows that it
 *   is out. It comes back as any newcomer does: as a learner that catches up from nothing.
 */
export class Readmissions {
  readonly #waiting = new Map<PeerId, string>();
  readonly #reasons = new Map<PeerId, string>();
  readonly #admitted = new Map<PeerId, string>();
  /** End of the log when the node was first seen to be out: its configuration lies at or before it. */
  readonly #outAt = new Map<PeerId, LogIndex>();

  /** @param state of a leader that a quorum has just confirmed. @returns whether the node may take part again. */
  ask(
    peer: PeerId,
    incarnation: string,
    state: Pick<RaftState, 'configuration' | 'commitIndex' | 'lastIndex'>,
  ): boolean {
    if (this.#admitted.get(peer) === incarnation) return true;
    if (this.#waiting.get(peer) !== incarnation) this.#outAt.delete(peer);
    this.#waiting.set(peer, incarnation);
    if (isIn(state.configuration, peer)) {
      this.#outAt.delete(peer);
      return false;
    }
    const outAt = this.#outAt.get(peer) ?? state.lastIndex;
    this.#outAt.set(peer, outAt);
    if (state.commitIndex < outAt) return false;
    this.#waiting.delete(peer);
    this.#reasons.delete(peer);
    this.#outAt.delete(peer);
    this.#admitted.set(peer, incarnation);
    return true;
  }

  /** For people. */
  note(peer: PeerId, reason: string): void {
    if (this.#waiting.has(peer)) this.#reasons.set(peer, reason);
  }

  /** What became of the disk of each that waits, as far as it said. */
  get reasons(): ReadonlyMap<PeerId, string> {
    return this.#reasons;
  }

  /** @returns who is to be taken out of the configuration first, and is not to be taken in yet. */
  get waiting(): ReadonlySet<PeerId> {
    return new Set(this.#waiting.keys());
  }
}

/** Answers nodes that lost their memory, as long as this leadership lasts. */
export function serveReadmissions(leadership: Leadership, state: () => RaftState): Readmissions {
  const readmissions = new Readmissions();
  leadership.serve(READMIT_METHOD, async ({ from, body }: LeaderRequest) => {
    const { incarnation, reason } = (body ?? {}) as { readonly [K in 'incarnation' | 'reason']?: unknown };
    if (typeof incarnation !== 'string' || !INCARNATION.test(incarnation)) {
      throw new AspenError('INVALID_REQUEST', 'a node that asks to be taken in again names its incarnation');
    }
    await leadership.confirm();
    const isOut = readmissions.ask(from, incarnation, state());
    if (typeof reason === 'string') readmissions.note(from, reason.slice(0, REASON_LIMIT));
    return { isOut };
  });
  leadership.serve(POSITION_METHOD, async () => {
    await leadership.confirm();
    return { index: state().commitIndex };
  });
  return readmissions;
}

/** @returns an index at or behind which lies everything acknowledged before the call. */
export async function agreedIndex(client: Pick<GroupClient, 'askLeader'>): Promise<LogIndex> {
  const { index } = await client.askLeader<{ readonly index: LogIndex }>(POSITION_METHOD, {});
  return index;
}

export interface ReadmissionComponents {
  readonly client: Pick<GroupClient, 'askLeader'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly incarnation: string;
  /** What became of its disk; for people. */
  readonly reason: string | undefined;
}

/** Q1, the node's side: asks until the leader says that no configuration counts on this node any more. */
export async function untilReadmitted(
  { client, clock, log, incarnation, reason }: ReadmissionComponents,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      const options = { timeoutMs: ASK_TIMEOUT_MS, signal };
      const body = { incarnation, reason: reason ?? null };
      const { isOut } = await client.askLeader<{ isOut: boolean }>(READMIT_METHOD, body, options);
      if (isOut) return;
    } catch (err) {
      if (!(err instanceof AspenError) || signal.aborted) throw err;
      log.debug({ err }, 'not taken in again yet, will ask again');
    }
    await sleep(clock, ASK_EVERY_MS, signal);
  }
}

function isIn({ voters, outgoing, learners }: Configuration, peer: PeerId): boolean {
  return voters.includes(peer) || outgoing.includes(peer) || learners.includes(peer);
}
