import type { MultiaddrConnection } from '@libp2p/interface';
import { SourceBudget, sourceOf } from './source-budget.ts';

/** Handshakes under way. Each holds a socket, a few kilobytes and at most `inboundUpgradeTimeout`. */
export const HANDSHAKES_LIMIT = 512;
/** Many agents may live on one machine, or behind one address of a provider. */
export const HANDSHAKES_PER_SOURCE = 64;

/**
 * Lets connections in until it is known who they are, so many at once of each address (F1): half-open ones from one place keep nobody else out.
 */
export class Door {
  readonly #budget = new SourceBudget({
    perSourceLimit: HANDSHAKES_PER_SOURCE,
    totalLimit: HANDSHAKES_LIMIT,
  });
  readonly #places = new WeakMap<MultiaddrConnection, () => void>();

  /** Turned away since the start. */
  get refusedCount(): number {
    return this.#budget.refusedCount;
  }

  /** Handshakes under way. */
  get pendingCount(): number {
    return this.#budget.total;
  }

  /** @returns whether it may begin its handshake. The place is given back when it is {@link known}, or closes. */
  admits(connection: MultiaddrConnection): boolean {
    const giveBack = this.#budget.take(sourceOf(connection.remoteAddr.toString()));
    if (giveBack === undefined) return false;
    this.#places.set(connection, giveBack);
    connection.addEventListener('close', giveBack, { once: true });
    return true;
  }

  /** The handshake has told who it is; what it may do from now on, others decide. */
  known(connection: MultiaddrConnection): void {
    this.#places.get(connection)?.();
    this.#places.delete(connection);
  }
}
