import { z } from 'zod';
import { AspenError, type Clock, type PeerId, type Random, randomShuffle } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { groupMethod } from './call-errors.ts';
import type { GroupClient, GroupStatus, Query } from './group.ts';
import { parseWith } from './machine/index.ts';
import type { Replica } from './replica/index.ts';

/** An answer that is not linearizable says so, and how old it may be. */
export interface LabelledRead<R> {
  readonly value: R;
  readonly label: ReadLabel;
}

export type ReadLabel =
  | { readonly consistency: 'linearizable' | 'lease' }
  | {
      readonly consistency: 'stale';
      /** How long ago the state was last known to be up to date; null: not since that replica started. Unit: ms. */
      readonly ageMs: number | null;
      readonly appliedIndex: number;
    };

export interface LabelledReadsComponents {
  readonly client: GroupClient;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly random: Random;
  readonly replica: Pick<Replica, 'query' | 'ageMs' | 'appliedIndex' | 'isMember'>;
  readonly status: () => GroupStatus;
}

const ASK_TIMEOUT_MS = 2_000;
/** Members asked, one after the other. */
const TRIES = 3;

const parseQuestion = parseWith(
  z.object({ module: z.string().max(64), kind: z.string().max(64), body: z.unknown() }),
);
const parseAnswer = parseWith(
  z.object({
    value: z.unknown(),
    ageMs: z.number().min(0).nullable(),
    appliedIndex: z.number().int().min(0),
  }),
);

/**
 * Reads that say how they were made. A stale one is answered by this node's own replica; where it has none by a member's, and its age
 * then includes the way.
 */
export class LabelledReads {
  readonly #components: LabelledReadsComponents;
  readonly #method: string;

  constructor(components: LabelledReadsComponents, group: string) {
    this.#components = components;
    this.#method = groupMethod(group, 'read');
  }

  /** Answers nodes that have no replica. */
  serve(): Disposable {
    const { messenger, status } = this.#components;
    return messenger.handle(this.#method, ({ body }) => {
      const { module, kind, body: question } = parseQuestion(body);
      if (status().role === 'spare') throw unavailable('this node has no replica');
      return this.#here({ module, kind, body: question });
    });
  }

  /** @throws AspenError as the query says; CONFLICT for a lease the leader does not have; NO_QUORUM, UNAVAILABLE. */
  async read<R>(query: Query): Promise<LabelledRead<R>> {
    const { consistency = 'linearizable' } = query;
    if (consistency !== 'stale') {
      return { value: await this.#components.client.query<R>(query), label: { consistency } };
    }
    const { value, ageMs, appliedIndex } = await this.#stale(query);
    return { value: value as R, label: { consistency, ageMs, appliedIndex } };
  }

  #here({ module, kind, body }: Query) {
    const { replica } = this.#components;
    const value = replica.query(module, kind, body ?? null);
    return { value, ageMs: replica.ageMs(), appliedIndex: replica.appliedIndex };
  }

  async #stale(query: Query): Promise<ReturnType<typeof parseAnswer>> {
    const { messenger, random, replica, status } = this.#components;
    const { role, voters, standbys } = status();
    if (role !== 'spare') return this.#here(query);
    const connected = messenger.connected();
    const members = [...voters, ...standbys].filter((peer) => connected.includes(peer));
    for (const member of randomShuffle(random, members).slice(0, TRIES)) {
      const answer = await this.#there(member, query);
      if (answer !== undefined) return answer;
    }
    if (replica.isMember) return this.#here(query); // what it held when it last had a part in the group
    throw unavailable('no member of the group that holds what is agreed can be reached');
  }

  /** @returns undefined when that member does not answer. */
  async #there(member: PeerId, { module, kind, body }: Query) {
    const { messenger, clock } = this.#components;
    const askedAtMs = clock.monotonicMs();
    const question = { module, kind, body: body ?? null };
    try {
      const answer = parseAnswer(
        await messenger.request(member, this.#method, question, { timeoutMs: ASK_TIMEOUT_MS }),
      );
      const wayMs = Math.ceil(clock.monotonicMs() - askedAtMs);
      return { ...answer, ageMs: answer.ageMs === null ? null : answer.ageMs + wayMs };
    } catch (error) {
      if (!(error instanceof AspenError) || error.retry === 'never') throw error;
      return undefined;
    }
  }
}

function unavailable(why: string): AspenError {
  return new AspenError('UNAVAILABLE', why, { outcome: 'not-applied' });
}
