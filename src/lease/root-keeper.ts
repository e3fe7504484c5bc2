import {
  AspenError,
  type Clock,
  type Crypto,
  every,
  type Logger,
  type MeshId,
  type Random,
  sleep,
} from '../base/index.ts';
import {
  certificateHash,
  encodeRootList,
  encodeSuccession,
  rootListDigest,
  SUCCESSION_REVOKED_LIMIT,
  SUCCESSION_VOTERS_LIMIT,
  SUCCESSION_VOUCHERS_LIMIT,
  signSuccession,
  verifyCertificate,
} from '../mesh/index.ts';
import type { Leadership } from './group.ts';
import { listMembers, type Member, readRootState } from './machine/index.ts';
import { onceApplied } from './once-applied.ts';
import type { Replica } from './replica/index.ts';
import type { RootCustody } from './root-custody.ts';
import { type RootDuty, rootDuty } from './root-duty.ts';

export interface RootKeeperComponents {
  readonly meshId: MeshId;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly replica: Replica;
  readonly custody: RootCustody;
}

/** Where the mesh is with its root key, for people. */
export interface RootProgress {
  readonly number: number;
  readonly isDue: boolean;
}

const LOOK_EVERY_MS = 1_000;
const LOOK_SOON_MS = 50;
const ROOT_SEED_BYTES = 32;
const LIMITS = { votersLimit: SUCCESSION_VOTERS_LIMIT, vouchersLimit: SUCCESSION_VOUCHERS_LIMIT };

/**
 * Replaces the mesh's root key while this node leads, when the agreed state says that it is due ({@link rootDuty}). One command carries the
 * statement, the list and the sealed boxes, so there is no half of it; a key whose command was lost was never anything.
 */
export class RootKeeper implements Disposable {
  readonly #leadership: Leadership;
  readonly #components: RootKeeperComponents;
  readonly #timer: Disposable;
  readonly #agreed = onceApplied((members) => ({
    root: readRootState(members),
    members: listMembers(members),
  }));
  #replacing: Promise<void> | undefined;

  constructor(leadership: Leadership, components: RootKeeperComponents) {
    this.#leadership = leadership;
    this.#components = components;
    this.#timer = every(components.clock, LOOK_EVERY_MS, () => void this.#look());
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  /** Of the present root key. */
  get progress(): RootProgress {
    const { number, due } = this.#leadership.read(({ module }) => readRootState(module('members')));
    return { number, isDue: due.length > 0 };
  }

  /** Waits until no other root key is due, at most `timeoutMs`. */
  async settled(timeoutMs: number): Promise<RootProgress> {
    const { clock } = this.#components;
    for (let spentMs = 0; this.progress.isDue && spentMs < timeoutMs; spentMs += LOOK_SOON_MS) {
      await this.#look();
      if (this.progress.isDue) await sleep(clock, LOOK_SOON_MS, this.#leadership.signal);
    }
    return this.progress;
  }

  async #look(): Promise<void> {
    const { log } = this.#components;
    if (this.#leadership.signal.aborted) return;
    this.#replacing ??= this.#components.custody
      .oneByOne(() => this.#replaceIfDue()) // Y3
      .catch((err: unknown) => log.info({ err }, 'the root key is not replaced yet, will try again'))
      .finally(() => {
        this.#replacing = undefined;
      });
    await this.#replacing;
  }

  async #replaceIfDue(): Promise<void> {
    const { replica, log } = this.#components;
    const { root, members } = this.#leadership.read(({ module }) => this.#agreed(module('members')));
    const duty = rootDuty({ root, members, configuration: replica.raftState.configuration }, LIMITS);
    if (duty.duty === 'wait')
      log.debug({ reason: duty.reason }, 'the root key is due to be replaced, not yet');
    if (duty.duty !== 'replace') return;
    const { number } = root;
    const proposal = this.#statement(duty, { number, due: root.due, members });
    const body = { ...proposal, asOf: root.changedAt };
    await this.#leadership.propose({ module: 'members', kind: 'succeed', body });
    log.info({ number: number + 1, revoked: root.due }, 'replaced the root key of the mesh');
  }

  #statement(
    { keepers, voters, vouchers }: Extract<RootDuty, { readonly duty: 'replace' }>,
    { number, due, members }: Pick<RootStateNow, 'number' | 'due' | 'members'>,
  ) {
    const { crypto, random, clock, custody, meshId } = this.#components;
    if (keepers.length === 0) throw new AspenError('UNAVAILABLE', 'nobody could be given a new root key');
    const fromSeed = custody.open(this.#leadership);
    const toSeed = random.bytes(ROOT_SEED_BYTES);
    const staying = members.filter(({ revokedAtMs }) => revokedAtMs === null);
    const list = encodeRootList(staying.map((member) => this.#entryOf(member)));
    const succession = signSuccession(
      { crypto, fromSeed, toSeed },
      {
        meshId,
        number: number + 1,
        listDigest: rootListDigest(crypto, list),
        listCount: staying.length,
        revoked: due.slice(0, SUCCESSION_REVOKED_LIMIT),
        voters,
        vouchers,
        issuedAtMs: clock.wallMs(),
      },
    );
    const sealed = keepers.map(({ peerId, sealingKey }) => ({
      peerId,
      box: custody.seal(toSeed, sealingKey),
    }));
    return { succession: encodeSuccession(succession), list, sealed };
  }

  /** What the group agreed to is a certificate of the mesh, whichever root key signed it. */
  #entryOf({ peerId, certificate }: Member) {
    const { crypto, meshId } = this.#components;
    const verified = verifyCertificate({ crypto, meshId, roots: { numberOf: () => 0 } }, certificate);
    return { peerId, certificateHash: certificateHash(crypto, verified) };
  }
}

interface RootStateNow {
  readonly number: number;
  readonly due: readonly Member['peerId'][];
  readonly members: readonly Member[];
}
