import { AspenError, backoffMs, sleep, withDeadline } from '../base/index.ts';
import { Admission, createIdentity, MembershipGate, type Ticket, VolatileGateMemory } from '../mesh/index.ts';
import type { Membership } from './membership.ts';
import type { Platform } from './platform.ts';

export interface JoiningOptions {
  /** How long to go on trying while the mesh cannot be reached or has no quorum. Unit: ms. @default 60_000 */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Redeems a ticket over a transport of its own, which listens nowhere: whatever this node was before stays as it is until the
 * certificate is there.
 * @throws AspenError DENIED when the mesh refuses the ticket; UNAVAILABLE, NO_QUORUM or DEADLINE_EXCEEDED when nobody could decide in time.
 */
export async function redeemTicket(
  platform: Platform,
  ticket: Ticket,
  { timeoutMs = 60_000, signal }: JoiningOptions = {},
): Promise<Membership> {
  const { crypto, clock, directory, logger } = platform;
  const identity = createIdentity(crypto, directory.seed);
  const gate = new MembershipGate(
    { crypto, memory: new VolatileGateMemory(), log: logger },
    { meshId: ticket.meshId },
  );
  const transport = platform.createTransport({ identity, gate, meshId: ticket.meshId, listen: [] });
  const redeem = () => Promise.reject(new AspenError('UNAVAILABLE', 'this node is only joining'));
  using admission = new Admission({ transport, gate, clock, crypto, log: logger, redeem });
  await transport.start();
  try {
    const certificate = await untilAdmitted(
      platform,
      { timeoutMs, ...(signal && { signal }) },
      (attemptSignal) => admission.join(ticket, { sealingKey: identity.sealingKey, signal: attemptSignal }),
    );
    return {
      meshId: ticket.meshId,
      rootPublicKey: ticket.rootPublicKey,
      certificate,
      foundingRootSeed: null,
      contacts: ticket.members,
      roots: gate.roots.entries(),
      witnesses: gate.roots.witnesses,
    };
  } finally {
    await transport.stop();
  }
}

/** Tries again while that can help; the last failure is what the caller is told when the time is over. */
async function untilAdmitted<T>(
  { clock, random, logger }: Platform,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const endMs = clock.monotonicMs() + timeoutMs;
  for (let attempts = 1; ; attempts += 1) {
    try {
      const leftMs = Math.max(1, endMs - clock.monotonicMs());
      return await withDeadline(
        { clock, timeoutMs: leftMs, what: 'joining', ...(signal && { signal }) },
        attempt,
      );
    } catch (error) {
      signal?.throwIfAborted();
      const pauseMs = backoffMs(attempts, random, { firstMs: 200, mostMs: 3_000 });
      const isWorthIt = error instanceof AspenError && error.retry !== 'never';
      if (!isWorthIt || clock.monotonicMs() + pauseMs >= endMs) throw error;
      logger.info({ err: error, attempts }, 'joining failed, will try again');
      await sleep(clock, pauseMs, signal);
    }
  }
}
