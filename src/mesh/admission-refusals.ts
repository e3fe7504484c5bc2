import { AspenError } from '../base/index.ts';
import { UNKNOWN_ROOT } from './certificate.ts';
import { RevokedError } from './own-revocation.ts';
import { HUNG_UP } from './transport.ts';

/** Another root key than those known to whoever says so; more may be learnt. */
export function isOfUnknownRoot(error: unknown): boolean {
  return (
    error instanceof AspenError &&
    (error.details as { readonly reason?: unknown } | undefined)?.reason === UNKNOWN_ROOT
  );
}

/** The peer is not what the ticket says. Another one named by the ticket may be. */
export class ImpostorError extends AspenError {
  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super('DENIED', message, options);
  }
}

/**
 * A refusal by a proven member speaks for the mesh; anything else may be different at the next member. Whoever shows a revocation has proven nothing
 * of itself, and it may be one that a root key of before signed.
 */
export function isFinal(error: unknown): boolean {
  if (error instanceof ImpostorError || error instanceof RevokedError) return false;
  return error instanceof AspenError && error.retry === 'never';
}

/**
 * Of several failures, the one that says more about the mesh than about the way to it. A member that asks for a little patience outweighs one
 * that seems to be none: while the mesh learns of another root key, whoever was revoked and whoever has just joined look alike. And one that was
 * there and hung up outweighs those that were not reached at all. What the root key signed outweighs them all.
 */
export function moreTelling(left: unknown, right: unknown): unknown {
  return weightOf(left) > weightOf(right) ? left : right;
}

function weightOf(error: unknown): number {
  if (!(error instanceof AspenError)) return 0;
  if (error instanceof RevokedError) return 4;
  if (error.code === 'NO_QUORUM') return 3;
  if (error.details['reason'] === NOT_YET.reason) return 2;
  return error.details['reason'] === HUNG_UP ? 1 : 0;
}

/** What a member says that will know more in a moment. */
export const NOT_YET = { reason: 'not-yet' } as const;

/** Between the news of another root key and the list that goes with it: a moment. */
export function notSettled(cause?: unknown): AspenError {
  return new AspenError(
    'UNAVAILABLE',
    'this member is just learning of another root key of the mesh, try again',
    { outcome: 'not-applied', details: NOT_YET, cause },
  );
}

/** A4 */
export function tooFrequent(): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', 'too many admission attempts', {
    details: { limit: 'attemptsPerPeer', retryAfterMs: 10_000 },
  });
}

/** What a peer is told: of a fault of this node only that there was one. */
export function asAspenError(error: unknown): AspenError {
  return error instanceof AspenError
    ? error
    : new AspenError('INTERNAL', 'the admission failed', { cause: error });
}
