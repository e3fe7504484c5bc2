import { AspenError, type PeerId } from '../base/index.ts';
import { HUNG_UP } from './transport.ts';

const NOT_APPLIED = { outcome: 'not-applied' } as const;

export function notRunning(): AspenError {
  return new AspenError('UNAVAILABLE', 'the transport is not running', NOT_APPLIED);
}

export function notAdmitted(gateOf: PeerId, stranger: PeerId): AspenError {
  return new AspenError('DENIED', `${gateOf} does not admit ${stranger}`);
}

export function asUnreachable(peerId: PeerId, error: unknown): unknown {
  if (error instanceof AspenError) return error;
  if (error instanceof Error && error.name === 'UnexpectedEOFError') {
    const text = `${peerId} was connected and hung up before it answered: members do so when they have no room for one more, and those of an earlier version with a peer that was revoked`;
    return new AspenError('UNAVAILABLE', text, {
      cause: error,
      details: { reason: HUNG_UP },
      ...NOT_APPLIED,
    });
  }
  const why = error instanceof Error ? error.message : String(error);
  return new AspenError('UNAVAILABLE', `cannot reach ${peerId}: ${why}`, { cause: error, ...NOT_APPLIED });
}

export function cannotListen(address: string): string {
  return `cannot listen on ${address}: another program has the port, or this user may not take it (below 1024 that takes a right: docs/NETWORK.md)`;
}
