import { type Clock, type Logger, type PeerId, Tasks } from '../base/index.ts';
import { StorageFault, type Store } from '../storage/index.ts';
import type { LeaderClient } from './client.ts';
import type { Introducer } from './introduction.ts';
import { untilReadmitted } from './readmission.ts';
import type { Replica } from './replica/index.ts';
import { ownerRecord } from './store-mark.ts';

export interface ParticipationComponents {
  readonly self: PeerId;
  /** Of this data directory. */
  readonly incarnation: string;
  /** Starts of this data directory, the present one included. */
  readonly bootCount: number;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly replica: Replica;
  readonly client: LeaderClient;
  readonly introducer: Introducer;
  /** Given when this node's disk was lost; called before it takes part again. */
  readonly onReadmitted: (() => Promise<void>) | undefined;
  /** What became of the lost disk; for people. */
  readonly lossReason: string | undefined;
  readonly onFailure: (error: unknown) => void;
}

/** When this node begins to speak in the group: at once where it is alone, else not before the others know of its store, or count on it no longer. */
export class Participation {
  readonly #components: ParticipationComponents;
  readonly #tasks: Tasks;
  #begun: Promise<void> | undefined;
  #isStopped = false;

  constructor(components: ParticipationComponents) {
    this.#components = components;
    this.#tasks = new Tasks(components.onFailure);
  }

  async start(): Promise<void> {
    const { introducer, onReadmitted } = this.#components;
    if (onReadmitted !== undefined) {
      this.#tasks.run((signal) => this.#beginAnew(onReadmitted, signal));
      return;
    }
    introducer.start();
    if (this.#sharesGroup()) this.#tasks.run((signal) => this.#beginWhenAgreed(signal));
    else await this.begin();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#tasks.stop();
  }

  /** Runs the replica, also where it still waits for others. Happens once. */
  begin(): Promise<void> {
    this.#begun ??= this.#begin();
    return this.#begun;
  }

  /** The store is noted to be of this life before anything is said on its strength. */
  async #begin(): Promise<void> {
    const { store, incarnation, bootCount, log, replica, introducer } = this.#components;
    const { key, value } = ownerRecord({ incarnation, bootCount });
    try {
      await store.write([{ type: 'put', key, value }]);
    } catch (err) {
      if (!(err instanceof StorageFault) || err.kind !== 'full') throw err;
      log.warn({ err }, 'the disk is full: this start is not noted');
    }
    if (this.#isStopped) return;
    await replica.start();
    introducer.takePart();
  }

  /** Whether others hold, or held, the same log, so that they may remember more of it than this store has. */
  #sharesGroup(): boolean {
    const { replica, self } = this.#components;
    const { voters, outgoing } = replica.raftState.configuration;
    return [...voters, ...outgoing].some((peer) => peer !== self);
  }

  /** W8 */
  async #beginWhenAgreed(signal: AbortSignal): Promise<void> {
    if (await this.#components.introducer.untilAgreed(signal)) await this.begin();
  }

  /** Q1 */
  async #beginAnew(onReadmitted: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { client, clock, incarnation, log, lossReason: reason, introducer } = this.#components;
    await untilReadmitted({ client, clock, log, incarnation, reason }, signal);
    await onReadmitted();
    if (signal.aborted) return;
    log.info({}, 'the group counts on this node no longer: it comes back as a learner');
    introducer.start();
    await this.begin();
  }
}
