import { z } from 'zod';
import {
  AspenError,
  type Clock,
  every,
  Listeners,
  type Logger,
  newId,
  type PeerId,
  type Random,
} from '../base/index.ts';
import type { LeaderRequest, Leadership } from './group.ts';
import { type Fact, parseWith, requireRole, type Session } from './machine/index.ts';

export interface SessionKeeperOptions {
  /** A session that was not renewed for this long is suspect. Unit: ms. @default 4_000 */
  readonly ttlMs?: number;
  /** A session that stayed suspect this long is closed; longer than any hold of an attempt. Unit: ms. @default 330_000 */
  readonly closeAfterMs?: number;
}

export interface SessionKeeperComponents {
  readonly leadership: Leadership;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A session as its keeper sees it. */
export interface KeptSession {
  readonly peerId: PeerId;
  readonly sessionId: string;
  readonly incarnation: string;
  /** By this leader's monotonic clock; the beginning of the leadership counts as a renewal. */
  readonly lastRenewalMs: number;
  readonly isSuspect: boolean;
}

export type SessionReporter = (peerId: PeerId, sessionId: string, report: unknown) => unknown;

interface Kept {
  readonly session: Session;
  lastRenewalMs: number;
  /** Of the latest renewal whose report was taken. */
  lastSequence: number;
  isSuspect: boolean;
  isClosing: boolean;
}

const SWEEP_MS = 250;

const parseOpen = parseWith(
  z.object({ incarnation: z.string().min(1).max(100), version: z.number().int().min(1) }),
);
const parseRenew = parseWith(
  z.object({
    sessionId: z.string().min(1).max(100),
    incarnation: z.string().min(1).max(100),
    sequence: z.number().int().min(0),
    report: z.unknown(),
    mayWait: z.boolean().optional(),
  }),
);

/**
 * Keeps the sessions of all nodes while this node leads.
 *
 * - S1 A renewal is answered only after a quorum round that began after it arrived: a deposed leader prolongs nothing.
 * - S2 A new leader takes every agreed session for renewed when its leadership began, so nobody loses time by an election.
 * - S3 A renewal of a session that is not the agreed one is refused `FENCED`.
 * - S4 A renewal counts from its arrival, however long the round took, and what was reported earlier never replaces what was reported later.
 */
export class SessionKeeper implements Disposable {
  readonly #components: SessionKeeperComponents;
  readonly #options: Required<SessionKeeperOptions>;
  readonly #kept = new Map<PeerId, Kept>();
  readonly #changes = new Listeners<KeptSession>();
  readonly #parts: readonly Disposable[];
  #reporter: SessionReporter = () => null;

  constructor(components: SessionKeeperComponents, options: SessionKeeperOptions = {}) {
    const { leadership, clock } = components;
    this.#components = components;
    this.#options = { ttlMs: options.ttlMs ?? 4_000, closeAfterMs: options.closeAfterMs ?? 330_000 };
    for (const session of this.#agreed()) this.#keep(session); // S2
    this.#parts = [
      leadership.onFacts((facts) => this.#onFacts(facts)),
      leadership.serve('session/open', (request) => this.#open(request)),
      leadership.serve('session/renew', (request) => this.#renew(request)),
      every(clock, SWEEP_MS, () => this.#sweep()),
    ];
  }

  /** @param reporter gets what a node reports with each renewal; what it returns goes back with the answer. */
  onReport(reporter: SessionReporter): void {
    this.#reporter = reporter;
  }

  sessions(): readonly KeptSession[] {
    return Array.from(this.#kept.values(), viewOf);
  }

  find(peerId: PeerId): KeptSession | undefined {
    const kept = this.#kept.get(peerId);
    return kept && viewOf(kept);
  }

  /** Told when a session begins, becomes suspect, recovers, or ends (then it is no longer among `sessions`). */
  onChange(callback: (session: KeptSession) => void): Disposable {
    return this.#changes.add(callback);
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part[Symbol.dispose]();
  }

  async #open({ from, body }: LeaderRequest): Promise<{ readonly sessionId: string }> {
    const { incarnation, version } = parseOpen(body);
    const { leadership } = this.#components;
    leadership.read(({ module }) =>
      requireRole(module('members'), from, { needed: 'worker', deed: 'hold a session' }),
    );
    await this.#noteVersion(from, version);
    const sessionId = newId('ses', this.#components);
    await leadership.propose({
      module: 'sessions',
      kind: 'open',
      body: { peerId: from, incarnation, sessionId },
    });
    return { sessionId };
  }

  async #renew({
    from,
    body,
  }: LeaderRequest): Promise<{ readonly sequence: number; readonly orders?: unknown }> {
    const { sessionId, incarnation, sequence, report, mayWait } = parseRenew(body);
    const { clock, leadership } = this.#components;
    const arrivedMs = clock.monotonicMs();
    this.#require(from, sessionId, incarnation);
    await leadership.confirm(mayWait === true ? 'with-beat' : 'now'); // S1
    const kept = this.#require(from, sessionId, incarnation); // S3
    kept.lastRenewalMs = Math.max(kept.lastRenewalMs, arrivedMs); // S4
    this.#setSuspect(kept, false);
    if (sequence < kept.lastSequence) return { sequence };
    kept.lastSequence = sequence;
    return { sequence, orders: this.#reporter(from, sessionId, report) ?? null };
  }

  /** S3. */
  #require(peerId: PeerId, sessionId: string, incarnation: string): Kept {
    const kept = this.#kept.get(peerId);
    if (kept?.session.sessionId === sessionId && kept.session.incarnation === incarnation) return kept;
    throw new AspenError('FENCED', `${peerId} holds no session ${sessionId}`);
  }

  async #noteVersion(peerId: PeerId, version: number): Promise<void> {
    const { leadership } = this.#components;
    const known = leadership.read(({ module }) =>
      module('members').table<{ understandsVersion: number }>('members').get(peerId),
    );
    if (known === undefined || known.understandsVersion === version) return;
    await leadership.propose({ module: 'members', kind: 'understands', body: { peerId, version } });
  }

  #agreed(): readonly Session[] {
    return this.#components.leadership.read(({ module }) =>
      Array.from(module('sessions').table<Session>('sessions').range({}), ([, session]) => session),
    );
  }

  #onFacts(facts: readonly Fact[]): void {
    for (const { module, type, peerId, sessionId } of facts) {
      if (module === 'members' && (type === 'left' || type === 'revoked')) {
        const kept = this.#kept.get(peerId as PeerId);
        if (kept !== undefined) this.#close(kept, type);
      }
      if (module !== 'sessions') continue;
      if (type === 'closed') this.#forget(peerId as PeerId, sessionId as string);
      if (type === 'opened') {
        const session = this.#components.leadership.read(({ module: of }) =>
          of('sessions')
            .table<Session>('sessions')
            .get(peerId as PeerId),
        );
        if (session?.sessionId === sessionId) this.#changes.emit(viewOf(this.#keep(session as Session)));
      }
    }
  }

  #keep(session: Session): Kept {
    const lastRenewalMs = this.#components.clock.monotonicMs();
    const kept: Kept = { session, lastRenewalMs, lastSequence: 0, isSuspect: false, isClosing: false };
    this.#kept.set(session.peerId, kept);
    return kept;
  }

  #forget(peerId: PeerId, sessionId: string): void {
    const kept = this.#kept.get(peerId);
    if (kept?.session.sessionId !== sessionId) return;
    this.#kept.delete(peerId);
    this.#changes.emit(viewOf(kept));
  }

  #sweep(): void {
    const nowMs = this.#components.clock.monotonicMs();
    for (const kept of [...this.#kept.values()]) {
      const silentMs = nowMs - kept.lastRenewalMs;
      if (silentMs >= this.#options.ttlMs) this.#setSuspect(kept, true);
      if (silentMs >= this.#options.closeAfterMs) this.#close(kept, 'not renewed');
    }
  }

  #setSuspect(kept: Kept, isSuspect: boolean): void {
    if (kept.isSuspect === isSuspect) return;
    kept.isSuspect = isSuspect;
    this.#changes.emit(viewOf(kept));
  }

  #close(kept: Kept, reason: string): void {
    if (kept.isClosing) return;
    kept.isClosing = true;
    const { leadership, log } = this.#components;
    const { peerId, sessionId } = kept.session;
    leadership
      .propose({ module: 'sessions', kind: 'close', body: { peerId, sessionId, reason } })
      .catch((err: unknown) => {
        kept.isClosing = false;
        log.debug({ err, peerId }, 'session not closed, will try again');
      });
  }
}

function viewOf({ session, lastRenewalMs, isSuspect }: Kept): KeptSession {
  const { peerId, sessionId, incarnation } = session;
  return { peerId, sessionId, incarnation, lastRenewalMs, isSuspect };
}
