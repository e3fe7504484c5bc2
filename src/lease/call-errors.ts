import { AspenError, formatDuration } from '../base/index.ts';

/** A method between nodes, of one group. */
export function groupMethod(
  group: string,
  verb: 'propose' | 'query' | 'leads' | 'ask' | 'changes' | 'read',
): string {
  return `group/${group}/${verb}`;
}

/** Nothing was sent to a leader, or every one it was sent to refused it before its log. */
export function noQuorum(what: string, waitedMs: number): AspenError {
  return new AspenError(
    'NO_QUORUM',
    `${what}: no leader that a majority follows was reached within ${formatDuration(waitedMs)}`,
  );
}

/** This node would have to lead, and cannot write. */
export function diskFull(what: string): AspenError {
  return new AspenError(
    'RESOURCE_EXHAUSTED',
    `${what}: the disk of this node is full, and nobody else leads; make room, and it goes on by itself`,
    { details: { limit: 'disk', retryAfterMs: 5_000 } },
  );
}

/** A leader got it, and nobody knows what became of it. */
export function unanswered(what: string, waitedMs: number): AspenError {
  return new AspenError(
    'DEADLINE_EXCEEDED',
    `${what}: no answer within ${formatDuration(waitedMs)}; it may still take effect`,
  );
}

/** A later try was refused for good, and an earlier one may have taken effect. */
export function refusedAfterUnknown(refusal: AspenError): AspenError {
  return new AspenError(
    'UNAVAILABLE',
    `an earlier try may have taken effect; the last one: ${refusal.message}`,
    {
      outcome: 'unknown',
      cause: refusal,
    },
  );
}

/** @returns whether asking the next leader, or this one again, can help. */
export function isWorthAsking(error: AspenError): boolean {
  return error.code === 'NOT_LEADER' || error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED';
}
