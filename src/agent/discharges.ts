import { AspenError, type Clock, every, type Logger } from '../base/index.ts';
import type { Registry } from '../crdt/index.ts';
import type { Group, Leadership } from '../lease/index.ts';
import { type Certificate, departureKey } from '../mesh/index.ts';
import { textKey } from '../storage/index.ts';
import type { Acquaintances } from './acquaintances.ts';
import { DISCHARGES } from './membership-links.ts';
import type { Platform } from './platform.ts';

export interface DischargesParts {
  readonly platform: Pick<Platform, 'logger' | 'clock'>;
  readonly registry: Pick<Registry, 'node' | 'bulletins'>;
  readonly acquaintances: Pick<Acquaintances, 'held'>;
  readonly group: Pick<Group, 'client' | 'epoch'>;
}

/** Somebody whom the group does not know (any more). */
export interface Absentee {
  /** Names one membership. */
  readonly key: string;
  readonly isAlive: boolean;
}

const LOOK_EVERY_MS = 5_000;
/** Who leaves gets so long to say so itself, as seen by one leader. */
const OWN_WORD_MS = 20_000;
const DISCHARGES_A_LOOK = 16;
const FIRST_EPOCH = 1;

/**
 * For how long memberships that the group does not know were seen. Pure.
 *
 * After a recovery the group may have lost that somebody was admitted: whoever gives signs of life then is let be.
 */
export class AbsenceBook {
  #sinceMs = new Map<string, number>();

  /** @returns those of whom the mesh is to say that they have left. */
  due(absentees: readonly Absentee[], { nowMs, epoch }: { readonly nowMs: number; readonly epoch: number }) {
    this.#sinceMs = new Map(absentees.map(({ key }) => [key, this.#sinceMs.get(key) ?? nowMs]));
    return absentees.filter(({ key, isAlive }) => {
      const isOver = nowMs - (this.#sinceMs.get(key) ?? nowMs) >= OWN_WORD_MS;
      return isOver && !(isAlive && epoch > FIRST_EPOCH);
    });
  }
}

/**
 * While this node leads, the mesh says of members who have left and could not say so themselves that they have: those who hear of nothing that is
 * agreed would take them for members for another day.
 */
export class Discharges implements Disposable {
  readonly #leadership: Leadership;
  readonly #parts: DischargesParts;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #absences = new AbsenceBook();
  readonly #timer: Disposable;
  #isLooking = false;

  constructor(leadership: Leadership, parts: DischargesParts) {
    this.#leadership = leadership;
    this.#parts = parts;
    this.#clock = parts.platform.clock;
    this.#log = parts.platform.logger.child({ part: 'discharges' });
    this.#timer = every(this.#clock, LOOK_EVERY_MS, () => this.#look());
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #look(): void {
    if (this.#isLooking || this.#leadership.signal.aborted) return;
    this.#isLooking = true;
    this.#dischargeAll()
      .catch((err: unknown) => {
        if (!(err instanceof AspenError)) throw err;
        this.#log.debug({ err }, 'nobody is discharged now, will try again');
      })
      .finally(() => {
        this.#isLooking = false;
      });
  }

  async #dischargeAll(): Promise<void> {
    const { registry, group } = this.#parts;
    const absent = new Map(this.#absent().map((certificate) => [keyOf(certificate), certificate]));
    const absentees = [...absent].map(([key, { peerId }]) => ({
      key,
      isAlive: registry.node(peerId)?.isAlive === true,
    }));
    const due = this.#absences.due(absentees, { nowMs: this.#clock.monotonicMs(), epoch: group.epoch });
    for (const { key } of due.slice(0, DISCHARGES_A_LOOK)) {
      const { peerId, signature: certificateSignature } = absent.get(key) as Certificate;
      const { discharge } = await group.client.askLeader<{ readonly discharge: Uint8Array }>(
        'members/discharge',
        { peerId, certificateSignature },
      );
      if (this.#leadership.signal.aborted) return;
      registry.bulletins.add(DISCHARGES, key, discharge);
      this.#log.info({ peerId }, 'a member has left without a word: the mesh says so');
    }
  }

  #absent(): readonly Certificate[] {
    const held = this.#parts.acquaintances.held();
    return this.#leadership.read(({ module }) => {
      const members = module('members').table('members');
      return held.filter(({ peerId }) => members.get(textKey(peerId)) === undefined);
    });
  }
}

function keyOf({ peerId, signature }: Certificate): string {
  return departureKey({ peerId, certificateSignature: signature });
}
