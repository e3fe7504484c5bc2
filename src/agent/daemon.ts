import type { AuditLog } from '../audit/index.ts';
import { AspenError, type Clock, every, IdSequence, type MeshId, OneByOne } from '../base/index.ts';
import { decodeTicket, type Ticket } from '../mesh/index.ts';
import { Scrubber, StorageFault, type Store } from '../storage/index.ts';
import { openAudit } from './audit-trail.ts';
import type { ResolvedConfig } from './config.ts';
import { endingOf, untilEnded } from './ending.ts';
import { foundMesh } from './founding.ts';
import { redeemTicket } from './joining.ts';
import type { Membership } from './membership.ts';
import { MembershipFile } from './membership-file.ts';
import { MeshNode } from './mesh-node.ts';
import type { Platform } from './platform.ts';
import { refuseIfRevoked } from './still-member.ts';
import { type DiskLoss, type OpenedStore, StoreKeeper } from './store-keeper.ts';

const MARK_EVERY_MS = 5_000;

export interface DaemonComponents {
  readonly platform: Platform;
  /** Told once when the process must end: what is durable is no longer known, or an invariant broke. */
  readonly onFatal: (error: unknown) => void;
}

export interface DaemonOptions {
  readonly config: ResolvedConfig;
  /** Join this mesh; where absent and the directory belongs to no mesh, one is founded. */
  readonly ticket?: string;
  /** Give up jobs and data of the present mesh when the ticket is of another. @default false */
  readonly abandon?: boolean;
}

/** What a request to join came to. */
export interface JoinOutcome {
  readonly meshId: MeshId;
  readonly alreadyMember: boolean;
}

/**
 * One machine's agent over its whole life: founds a mesh or joins one, comes back to it without help, changes to another, leaves.
 *
 * - B1 The membership file is written before anything of that mesh is done, so a crash at any moment leaves a node that comes back as what it was.
 * - B2 A certificate is obtained before the present mesh is given up: a refused ticket changes nothing.
 * - B3 A node with jobs, data or fellow members of its own is not taken into another mesh silently.
 */
export class Daemon {
  readonly #platform: Platform;
  readonly #onFatal: (error: unknown) => void;
  readonly #options: DaemonOptions;
  readonly #startedAtMs: number;
  #current: { readonly node: MeshNode; readonly store: Store } | undefined;
  readonly #change = new OneByOne();
  readonly #keeper: StoreKeeper;
  #loss: DiskLoss | undefined;
  #audit: AuditLog | undefined;
  #isDamaged = false;
  #isStopping = false;
  #marking: Disposable | undefined;
  #scrubber: Disposable | undefined;
  /** Of the node that runs, or starts. */
  #keptOf: MeshNode | undefined;
  readonly #file: MembershipFile;
  /** For jobs whose submitter named none. */
  readonly jobIds: IdSequence;

  constructor({ platform, onFatal }: DaemonComponents, options: DaemonOptions) {
    this.#platform = platform;
    this.jobIds = new IdSequence('job', platform);
    this.#onFatal = onFatal;
    this.#options = options;
    this.#startedAtMs = platform.clock.monotonicMs();
    this.#file = new MembershipFile(platform);
    this.#keeper = new StoreKeeper(platform, (fault) => this.#endDamaged(fault));
  }

  /** Set from the moment a lost store was replaced by an empty one until the group has taken this node in again. */
  get diskLoss(): DiskLoss | undefined {
    return this.#loss;
  }

  /** Of this machine, whichever mesh it is in; undefined where none is kept. */
  get audit(): AuditLog | undefined {
    return this.#audit;
  }

  get platform(): Platform {
    return this.#platform;
  }

  get config(): ResolvedConfig {
    return this.#options.config;
  }

  get uptimeMs(): number {
    return Math.round(this.#platform.clock.monotonicMs() - this.#startedAtMs);
  }

  get clock(): Clock {
    return this.#platform.clock;
  }

  /** @throws AspenError UNAVAILABLE while the agent starts, stops or changes its mesh. */
  get node(): MeshNode {
    if (this.#current === undefined) {
      const why = this.#isStopping
        ? 'this agent is stopping: ask another one of the mesh, or this one once it was started again'
        : 'the agent is not in a mesh at this moment; try again';
      throw new AspenError('UNAVAILABLE', why, { outcome: 'not-applied' });
    }
    return this.#current.node;
  }

  /** As {@link node}; undefined where that throws. */
  get nodeOrNone(): MeshNode | undefined {
    return this.#current?.node;
  }

  /** @throws AspenError UNAVAILABLE as {@link node}. */
  get store(): Store {
    void this.node;
    return (this.#current as { readonly store: Store }).store;
  }

  async start(): Promise<void> {
    const { ticket, abandon = false, config } = this.#options;
    if (ticket !== undefined) decodeTicket(this.#platform.crypto, ticket); // before anything is begun
    this.#audit = await openAudit(this.#platform, config.config.audit);
    this.#audit?.record({ kind: 'agent.start', version: this.#platform.version });
    const membership = await this.#file.read();
    if (membership === undefined) {
      await this.#serially(async () => this.#enter(await this.#firstMembership(ticket)));
    } else {
      await this.#serially(() => this.#run(membership));
      if (ticket !== undefined) await this.join(ticket, { abandon });
    }
  }

  /** @param leaveRunning what runs under a supervisor goes on, for the next agent to take over. */
  async stop({ leaveRunning = false }: { readonly leaveRunning?: boolean } = {}): Promise<void> {
    this.#isStopping = true;
    await this.#serially(() => this.#halt({ leaveRunning }));
    this.#audit?.record({ kind: 'agent.end', leaveRunning });
    await this.#audit?.close();
  }

  /**
   * Where this node is of that mesh already, the ticket vouches for the root key that signed it: the way out of one it could not believe. One that
   * was revoked is told so, and stays out.
   * @throws AspenError CONFLICT when this node has jobs, data or fellow members of its own and `abandon` is not given; as
   *   {@link redeemTicket} otherwise, and then nothing has changed.
   */
  async join(
    ticketText: string,
    { abandon = false, signal }: { abandon?: boolean; signal?: AbortSignal } = {},
  ): Promise<JoinOutcome> {
    return this.#serially(async () => {
      const ticket = decodeTicket(this.#platform.crypto, ticketText);
      const { node } = this;
      if (ticket.meshId === node.membership.meshId) {
        await node.mesh.admission.follow(ticket, signal && { signal });
        await refuseIfRevoked(node.mesh, ticket, signal && { signal });
        return { meshId: ticket.meshId, alreadyMember: true };
      }
      if (!abandon) await refuseUnlessEmpty(node, ticket);
      const membership = await redeemTicket(this.#platform, ticket, signal && { signal }); // B2
      await this.#halt();
      await this.#platform.eraseStore();
      await this.#enter(membership);
      return { meshId: membership.meshId, alreadyMember: false };
    });
  }

  /**
   * Hands over, is erased from the members, forgets the mesh. The agent has no mesh afterwards and is expected to stop. Where the mesh does not let
   * it go, it begins anew as the member it is: it had given its work away.
   */
  async leave({ timeoutMs }: { readonly timeoutMs: number }): Promise<MeshId> {
    return this.#serially(async () => {
      const { node } = this;
      const { meshId } = node.membership;
      try {
        await node.leave({ timeoutMs });
      } catch (error) {
        if (error instanceof AspenError) await this.#beginAnew(node.membership);
        throw error;
      }
      await this.#halt();
      await this.#file.remove();
      await this.#platform.eraseStore();
      return meshId;
    });
  }

  async #beginAnew(membership: Membership): Promise<void> {
    await this.#halt();
    await this.#run(membership);
  }

  async #firstMembership(ticketText: string | undefined): Promise<Membership> {
    if (ticketText === undefined) return foundMesh(this.#platform);
    return redeemTicket(this.#platform, decodeTicket(this.#platform.crypto, ticketText));
  }

  async #enter(membership: Membership): Promise<void> {
    await this.#keeper.reset();
    await this.#file.write(membership); // B1
    await this.#run(membership, { isNew: true });
  }

  async #run(membership: Membership, { isNew = false }: { readonly isNew?: boolean } = {}): Promise<void> {
    const { store, loss } = await this.#keeper.open({ isNew: isNew || membership.foundingRootSeed !== null });
    this.#loss = loss;
    const node = await this.#compose(membership, { store, loss });
    if (node === undefined) return this.#run(membership);
    this.#keptOf = node;
    await node.start();
    if (membership.foundingRootSeed !== null) {
      await node.found(membership.foundingRootSeed);
      await this.#file.write(node.membership);
    }
    this.#current = { node, store };
    this.#scrubber = new Scrubber(store, this.clock);
    this.#marking = every(this.clock, MARK_EVERY_MS, () => {
      this.#noteMark(store).catch((error: unknown) => this.#onFatal(error));
    });
  }

  /** What a full disk did not take is noted the next time. */
  async #noteMark(store: Store): Promise<void> {
    try {
      await this.#keeper.noteMark(store);
    } catch (error) {
      if (!(error instanceof AspenError) || error.code !== 'RESOURCE_EXHAUSTED') throw error;
    }
  }

  /**
   * @returns undefined when log and tables, each whole in itself, do not hold together: the store is closed, and the next opening sets it
   *   aside.
   */
  async #compose(membership: Membership, { store, loss }: OpenedStore): Promise<MeshNode | undefined> {
    try {
      return new MeshNode(
        {
          platform: this.#platform,
          store,
          onFatal: (error) => this.#onFailure(error),
          onRoots: () => this.#keepRoots(),
          onCopies: (copies) => this.#keeper.noteCopies(copies),
          onSetBack: (fault) => this.#setAside(fault),
          audit: this.#audit,
          ...(loss !== undefined && { onReadmitted: () => this.#settle(store), lossReason: loss.reason }),
        },
        { config: this.#options.config.config, membership },
      );
    } catch (error) {
      await store[Symbol.asyncDispose]();
      if (!(error instanceof StorageFault) || error.kind !== 'damaged') throw error;
      await this.#keeper.note(error);
      return undefined;
    }
  }

  async #settle(store: Store): Promise<void> {
    await this.#keeper.settle(store);
    this.#loss = undefined;
  }

  #onFailure(error: unknown): void {
    if (error instanceof StorageFault && error.kind === 'damaged') this.#endDamaged(error);
    else this.#onFatal(error);
  }

  /** The others remember more of this store than it holds: it is whole, and an older copy. The process goes on without it. */
  #setAside(fault: StorageFault): void {
    this.#serially(async () => {
      const current = this.#current;
      if (current === undefined) return;
      await this.#keeper.note(fault);
      await this.#halt();
      await this.#run(current.node.membership);
    }).catch((error: unknown) => this.#onFatal(error));
  }

  /** A process that met damage serves nothing more; its next start sets the store aside. */
  #endDamaged(fault: StorageFault): void {
    if (this.#isDamaged) return;
    this.#isDamaged = true;
    const told = new StorageFault(
      'damaged',
      `${fault.message}; start the agent again: it sets the store aside and comes back as a learner`,
      { cause: fault },
    );
    this.#keeper.note(fault).then(
      () => this.#onFatal(told),
      (error) => this.#onFatal(error),
    );
  }

  async #halt(how: { readonly leaveRunning?: boolean } = {}): Promise<void> {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.#keptOf = undefined;
    this.#marking?.[Symbol.dispose]();
    this.#scrubber?.[Symbol.dispose]();
    await current.node.stop(how);
    await this.#file.written();
    if (!this.#isDamaged) await this.#noteMark(current.store);
    await untilEnded(endingOf(this.#platform), 'store', async () => current.store[Symbol.asyncDispose]());
  }

  /** What a full disk did not take is kept with the next change, and what is lost is told again. */
  #keepRoots(): void {
    this.#file
      .writeLatest(() => this.#keptOf?.membership)
      .catch((error: unknown) => {
        if (!(error instanceof AspenError) || error.code !== 'RESOURCE_EXHAUSTED') this.#onFatal(error);
      });
  }

  /** One change of mesh at a time. */
  #serially<T>(change: () => Promise<T>): Promise<T> {
    return this.#change.run(change);
  }
}

/** B3 */
async function refuseUnlessEmpty(node: MeshNode, ticket: Ticket): Promise<void> {
  const own = await node.inventory();
  if (own.memberCount <= 1 && own.jobCount === 0 && own.keyCount === 0) return;
  throw new AspenError(
    'CONFLICT',
    `this agent belongs to mesh ${node.membership.meshId} with ${own.memberCount} members, ${own.jobCount} jobs and ${own.keyCount} keys; ` +
      `joining mesh ${ticket.meshId} would give them up: leave first, or say --abandon`,
    { details: { current: own } },
  );
}
