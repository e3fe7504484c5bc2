import { AspenError, type Logger, type PeerId } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { epochFromWire, epochToWire } from './epoch.ts';
import { parseConfiguration } from './raft/index.ts';
import { planRecovery, type RecoveryPlan, type Standing } from './recovery-rules.ts';
import type { Replica } from './replica/index.ts';

export interface RecoveryComponents {
  readonly self: PeerId;
  readonly messenger: Messenger;
  readonly replica: Replica;
  readonly mayVote: (peerId: PeerId) => boolean;
  readonly log: Logger;
  /** Makes the replica run, where it still waits for others before it says anything. */
  readonly prepare: () => Promise<void>;
}

export interface RecoverOptions {
  /** The survivor to go on with. @default the one that knows most */
  readonly on?: PeerId;
  /** Also on one that knows less. @default false */
  readonly force?: boolean;
  /** Only tell what would be done. @default false */
  readonly isDryRun?: boolean;
}

const ASK_TIMEOUT_MS = 3_000;
const RECOVER_TIMEOUT_MS = 20_000;
const NO_CONFIGURATION = { voters: [], outgoing: [], learners: [] };

/** The way out of a lost majority, from whichever member an operator sits at. */
export class GroupRecovery {
  readonly #components: RecoveryComponents;
  readonly #method: string;

  constructor(components: RecoveryComponents, group: string) {
    this.#components = components;
    this.#method = `group/${group}/recovery`;
  }

  /** Answers other members as long as it is not disposed. */
  serve(): Disposable {
    const { messenger, replica } = this.#components;
    const handlers = [
      messenger.handle(`${this.#method}/standing`, () => standingToWire(replica.standing())),
      messenger.handle(`${this.#method}/begin`, ({ from, body }) => this.#beginFor(from, body)),
    ];
    return {
      [Symbol.dispose]() {
        for (const handler of handlers) handler[Symbol.dispose]();
      },
    };
  }

  /** @throws as {@link planRecovery}; UNAVAILABLE when the chosen survivor does not answer. */
  async recover({ on, force = false, isDryRun = false }: RecoverOptions = {}): Promise<RecoveryPlan> {
    const { self, messenger, replica, prepare } = this.#components;
    const plan = planRecovery(await this.#survey(), { force, ...(on !== undefined && { on }) });
    if (isDryRun) return plan;
    if (plan.on === self) {
      await prepare();
      await replica.recover(plan.epoch);
    } else {
      const body = epochToWire(plan.epoch);
      await messenger.request(plan.on, `${this.#method}/begin`, body, { timeoutMs: RECOVER_TIMEOUT_MS });
    }
    return plan;
  }

  async #survey(): Promise<Standing[]> {
    const { messenger, replica, log } = this.#components;
    const method = `${this.#method}/standing`;
    const told = await Promise.all(
      messenger.connected().map(async (peer) => {
        try {
          const answer = await messenger.request(peer, method, null, { timeoutMs: ASK_TIMEOUT_MS });
          return standingFromWire(peer, answer);
        } catch (err) {
          if (!(err instanceof AspenError)) throw err;
          log.debug({ err, peer }, 'does not tell what it holds');
          return undefined;
        }
      }),
    );
    return [replica.standing(), ...told.filter((standing) => standing !== undefined)];
  }

  /** Another member's operator chose this node. What this node knows itself is checked once more. */
  async #beginFor(from: PeerId, body: unknown): Promise<{ readonly recovered: true }> {
    const { self, replica, mayVote, prepare } = this.#components;
    if (!mayVote(from)) throw new AspenError('DENIED', `${from} may not recover the group: it may not vote`);
    const epoch = epochFromWire(body);
    if (epoch === undefined || epoch.by !== self || epoch.number <= replica.epoch) {
      throw new AspenError(
        'INVALID_REQUEST',
        'a recovery names an epoch to begin here, later than the present',
      );
    }
    if (replica.standing().leader !== null) {
      throw new AspenError('CONFLICT', `${self} knows a leader: nothing is to be recovered`);
    }
    await prepare();
    await replica.recover(epoch);
    return { recovered: true };
  }
}

function standingToWire({ epoch, ...rest }: Standing): unknown {
  return { ...rest, epoch: epochToWire(epoch) };
}

/** @returns undefined for what is no standing; nobody speaks for another. */
function standingFromWire(peerId: PeerId, value: unknown): Standing | undefined {
  const fields = (value ?? {}) as { readonly [K in keyof Standing]?: unknown };
  const { lastTerm, lastIndex, commitIndex, leader } = fields;
  const epoch = epochFromWire(fields.epoch);
  if (epoch === undefined || ![lastTerm, lastIndex, commitIndex].every(Number.isSafeInteger))
    return undefined;
  if (leader !== null && typeof leader !== 'string') return undefined;
  const configuration = parseConfiguration(fields.configuration) ?? NO_CONFIGURATION;
  return { ...(fields as Standing), peerId, epoch, configuration };
}
