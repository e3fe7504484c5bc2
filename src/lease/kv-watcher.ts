import { AspenError, type Clock, type PeerId, pause, type Random, randomPick } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { groupMethod } from './call-errors.ts';
import type { GroupClient, GroupStatus } from './group.ts';
import {
  CHANGES_WAIT_LIMIT_MS,
  type ChangesQuestion,
  type KvFeed,
  parseChangesAnswer,
  parseChangesQuestion,
} from './kv-feed.ts';
import type { HistoryAnswer, KeyFilter, KvEvent } from './machine/index.ts';

export interface KvWatcherComponents {
  readonly messenger: Messenger;
  readonly client: GroupClient;
  readonly clock: Clock;
  readonly random: Random;
  /** This node's own replica. */
  readonly feed: KvFeed;
  /** What this node's replica knows, and what members told of the group where it has no part in it. */
  readonly status: () => GroupStatus;
}

/** A part of what a watch tells. */
export interface KvChanges {
  /** Empty when it only says how far the watch has come. */
  readonly events: readonly KvEvent[];
  /** All changes up to this revision have been told. */
  readonly revision: number;
}

export interface KvWatch {
  readonly filter: KeyFilter;
  /** Changes of this revision and later ones are told. */
  readonly fromRevision: number;
}

/** Beyond what a member was asked to wait. Unit: ms. */
const ANSWER_SLACK_MS = 2_000;
/** After a question that nobody could answer. Unit: ms. */
const PAUSE_MS = 250;
/** How often a watch without changes says how far it has come. Unit: ms. */
const PROGRESS_MS = 10_000;

/**
 * Watches keys from any node: from its own replica, or through a member of the group where it has none.
 *
 * - U3 A watch goes on from where the last answer ended, whoever gives the next one: no change is left out and none is told twice.
 * - U4 It ends with COMPACTED, never with a gap, when what comes next is no longer kept, or a recovery began another epoch.
 */
export class KvWatcher {
  readonly #components: KvWatcherComponents;
  readonly #method: string;
  /** The member that answered last. */
  #chosen: PeerId | undefined;

  constructor(components: KvWatcherComponents, group: string) {
    this.#components = components;
    this.#method = groupMethod(group, 'changes');
  }

  /** Answers the questions of nodes that have no replica. */
  serve(): Disposable {
    const { messenger, feed, status } = this.#components;
    return messenger.handle(this.#method, ({ body }) => {
      const question = parseChangesQuestion(body);
      if (!isReplica(status())) throw noReplica('this node has no replica that follows a leader');
      return feed.changes(question);
    });
  }

  /** @returns the revision of what is agreed now: a watch from the next one tells of all that happens later. */
  currentRevision(): Promise<number> {
    return this.#components.client.query<number>({ module: 'kv', kind: 'revision', body: null });
  }

  /**
   * Asks once without waiting, so that a watch that cannot begin is refused and not begun.
   * @throws AspenError COMPACTED; other trouble is left to the watch, which tries again.
   */
  async requireKept({ filter, fromRevision }: KvWatch): Promise<void> {
    try {
      await this.#ask({ filter, fromRevision, sequence: null, waitMs: 0 }, undefined);
    } catch (error) {
      if (!(error instanceof AspenError) || error.retry === 'never') throw error;
    }
  }

  /** Until the signal aborts. @throws AspenError COMPACTED. */
  async *watch(
    { filter, fromRevision }: KvWatch,
    signal: AbortSignal,
  ): AsyncGenerator<KvChanges, void, undefined> {
    const { clock } = this.#components;
    let place: Pick<ChangesQuestion, 'fromRevision' | 'sequence'> = { fromRevision, sequence: null };
    let [toldMs, told] = [clock.monotonicMs(), fromRevision - 1];
    while (!signal.aborted) {
      const answer = await this.#answer({ filter, ...place, waitMs: CHANGES_WAIT_LIMIT_MS }, signal);
      if (answer === undefined || signal.aborted) continue;
      const { events, revision, sequence, isAtEnd } = answer;
      place = { fromRevision: revision + 1, sequence };
      const nowMs = clock.monotonicMs();
      if (events.length > 0 || (revision > told && nowMs - toldMs >= PROGRESS_MS)) {
        yield { events, revision };
        [toldMs, told] = [nowMs, revision];
      } else if (!isAtEnd) await pause(clock, 0, signal);
    }
  }

  /** @returns undefined when nobody could answer: after a pause another is asked. */
  async #answer(question: ChangesQuestion, signal: AbortSignal): Promise<HistoryAnswer | undefined> {
    try {
      return await this.#ask(question, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof AspenError) || error.retry === 'never') throw error;
      this.#chosen = undefined;
      await pause(this.#components.clock, PAUSE_MS, signal);
      return undefined;
    }
  }

  async #ask(question: ChangesQuestion, signal: AbortSignal | undefined): Promise<HistoryAnswer> {
    const { feed, status, messenger } = this.#components;
    if (status().role !== 'spare') return feed.changes(question, signal);
    const member = this.#member();
    const timeoutMs = question.waitMs + ANSWER_SLACK_MS;
    const options = { timeoutMs, ...(signal && { signal }) };
    const answer = await messenger.request(member, this.#method, question, options);
    this.#chosen = member;
    return parseChangesAnswer(answer);
  }

  #member(): PeerId {
    const { messenger, random, status } = this.#components;
    const { voters, standbys } = status();
    const connected = messenger.connected();
    const members = [...voters, ...standbys].filter((peer) => connected.includes(peer));
    if (this.#chosen !== undefined && members.includes(this.#chosen)) return this.#chosen;
    const member = randomPick(random, members);
    if (member === undefined) throw noReplica('no member of the group is connected');
    return member;
  }
}

/** A member that follows no leader may be cut off: somebody else knows more. */
function isReplica({ role, leader }: GroupStatus): boolean {
  return role !== 'spare' && leader !== null;
}

function noReplica(why: string): AspenError {
  return new AspenError('UNAVAILABLE', why, { outcome: 'not-applied' });
}
