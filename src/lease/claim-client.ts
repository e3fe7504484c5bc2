import {
  AspenError,
  type Clock,
  formatDuration,
  type Logger,
  newId,
  type PeerId,
  type Random,
  sleep,
} from '../base/index.ts';
import { ASK_LIMIT_MS } from './claim-keeper.ts';
import type { GroupClient } from './group.ts';
import type { Claim, ClaimKind, ClaimView, ResourceView, ServiceView } from './machine/index.ts';
import { askedNow, validMs } from './validity.ts';

export interface ClaimClientComponents {
  readonly self: PeerId;
  readonly client: GroupClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface ClaimRequest {
  readonly kind: ClaimKind;
  readonly name: string;
  readonly capacity: number;
  readonly units: number;
  readonly ttlMs: number;
  readonly value: string | null;
  /** How long to queue; 0: have it at once or be refused `CONFLICT`. */
  readonly waitMs: number;
  readonly requestId?: string | undefined;
}

export interface HeldClaim {
  readonly leaseId: string;
  readonly fencingToken: number;
  /** How long from now the claim holds at least without a renewal. Unit: ms. */
  readonly validMs: number;
}

/** Slack for the answer of the leader beyond the time it was asked to wait. Unit: ms. */
const ANSWER_SLACK_MS = 5_000;
/** Pause after a question that nobody could answer. Unit: ms. */
const PAUSE_MS = 250;

/**
 * Claims things for the programs of this node.
 *
 * - Q1 `not-applied` is said only when the group has confirmed that the claim is gone, or refused it.
 * - Q2 Whoever stops waiting, for whatever reason, has its place given up, and a claim that it never heard of ended.
 * - Q3 What is told as valid counts from when the group was asked: `validity.ts`.
 */
export class ClaimClient {
  readonly #components: ClaimClientComponents;

  constructor(components: ClaimClientComponents) {
    this.#components = components;
  }

  /**
   * @throws AspenError CONFLICT (taken, and `waitMs` is 0), DEADLINE_EXCEEDED (waited in vain), RESOURCE_EXHAUSTED, or FENCED when the
   *   same `requestId` had a claim that has ended since; the signal's reason when it aborts first.
   */
  async claim(request: ClaimRequest, signal: AbortSignal): Promise<HeldClaim> {
    const { clock, random } = this.#components;
    const asked = askedNow(clock);
    const leaseId = newId('lse', { clock, random });
    const claim = await this.#ask(leaseId, request);
    if (claim.leaseId === leaseId && claim.fencingToken !== null && !signal.aborted) {
      const { fencingToken } = claim;
      return { leaseId, fencingToken, validMs: validMs(request.ttlMs, asked, clock) };
    }
    try {
      await this.#untilLetIn(claim.leaseId, request, {
        deadlineMs: asked.monotonicMs + request.waitMs,
        signal,
      });
      return await this.#takeUp(claim.leaseId, request);
    } catch (error) {
      if (signal.aborted) void this.#leaveQuietly(claim.leaseId);
      else if (error instanceof AspenError) throw await this.#givenUp(claim.leaseId, error);
      throw error;
    }
  }

  /**
   * The holders of a name, now and after each change, until the signal aborts. Changes that follow each other closely may be told as one.
   */
  observe(
    kind: ClaimKind,
    name: string,
    signal: AbortSignal,
  ): AsyncGenerator<ResourceView | null, void, undefined> {
    return this.#changes<ResourceView>(kind, name, signal);
  }

  /** The endpoints of a service, as {@link observe} tells of holders; null while it has none. */
  watchService(name: string, signal: AbortSignal): AsyncGenerator<ServiceView | null, void, undefined> {
    return this.#changes<ServiceView>('service', name, signal);
  }

  async *#changes<V extends { readonly revision: number }>(
    kind: string,
    name: string,
    signal: AbortSignal,
  ): AsyncGenerator<V | null, void, undefined> {
    let since: number | null | undefined;
    while (!signal.aborted) {
      const body = { kind, name, since: since ?? null, waitMs: since === undefined ? 0 : ASK_LIMIT_MS };
      const view = await this.#question<V | null>('leases/observe', body, signal);
      if (view === undefined) continue;
      const revision = view?.revision ?? null;
      if (revision !== since) yield view;
      since = revision;
    }
  }

  /** Q1, Q2: what a claim of unknown outcome may have got is given up; it would end by itself, later. */
  async #ask(leaseId: string, { waitMs, requestId, ...wish }: ClaimRequest): Promise<Claim> {
    const { client, self } = this.#components;
    const body = { ...wish, leaseId, owner: self, waits: waitMs > 0 };
    try {
      return await client.propose<Claim>({
        module: 'leases',
        kind: 'claim',
        body,
        ...(requestId !== undefined && { requestId }),
      });
    } catch (error) {
      if (error instanceof AspenError && error.outcome === 'unknown') void this.#leaveQuietly(leaseId);
      throw error;
    }
  }

  async #untilLetIn(
    leaseId: string,
    { kind, name, waitMs }: ClaimRequest,
    { deadlineMs, signal }: { readonly deadlineMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const { clock } = this.#components;
    for (;;) {
      signal.throwIfAborted();
      const leftMs = Math.max(0, deadlineMs - clock.monotonicMs());
      const body = { leaseId, waitMs: Math.min(ASK_LIMIT_MS, leftMs) };
      const view = await this.#question<ClaimView | null>('leases/await', body, signal);
      if (view === null) throw new AspenError('FENCED', `${kind} "${name}": claim ${leaseId} has ended`);
      if (view !== undefined && view.fencingToken !== null) return;
      if (clock.monotonicMs() >= deadlineMs) {
        throw new AspenError(
          'DEADLINE_EXCEEDED',
          `${kind} "${name}" was not free within ${formatDuration(waitMs)}`,
        );
      }
    }
  }

  /** A claim that was let in while it waited gets its own time from here on. Q3 */
  async #takeUp(leaseId: string, { kind, name, ttlMs }: ClaimRequest): Promise<HeldClaim> {
    const { client, clock } = this.#components;
    const asked = askedNow(clock);
    const { fencingToken } = await client.propose<{ readonly fencingToken: number }>({
      module: 'leases',
      kind: 'renew',
      body: { kind, name, leaseId },
    });
    return { leaseId, fencingToken, validMs: validMs(ttlMs, asked, clock) };
  }

  /** @returns what the leader says; undefined when nobody could answer in this round. */
  async #question<R>(
    method: string,
    body: { readonly waitMs: number },
    signal: AbortSignal,
  ): Promise<R | undefined> {
    const { client, clock } = this.#components;
    try {
      const timeoutMs = body.waitMs + ANSWER_SLACK_MS;
      return await orAborted(client.askLeader<R>(method, body, { timeoutMs, signal }), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AspenError) || error.retry === 'never') throw error;
      await sleep(clock, PAUSE_MS, signal);
      return undefined;
    }
  }

  /** Q1 @returns the error, with what is known of the claim afterwards. */
  async #givenUp(leaseId: string, { code, message, details }: AspenError): Promise<AspenError> {
    const isGone = await this.#leaveQuietly(leaseId);
    return new AspenError(code, message, { details, outcome: isGone ? 'not-applied' : 'unknown' });
  }

  /** Q2 @returns whether the group has confirmed that the claim is gone. */
  async #leaveQuietly(leaseId: string): Promise<boolean> {
    const { client, log } = this.#components;
    try {
      await client.propose({ module: 'leases', kind: 'leave', body: { leaseId } });
      return true;
    } catch (err) {
      log.debug({ err, leaseId }, 'claim not given up, it will end by itself');
      return false;
    }
  }
}

/** Where this node leads, nothing between here and the answer hears of the signal. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const end = () => signal.removeEventListener('abort', onAbort);
    work.finally(end).then(resolve, reject);
  });
}
