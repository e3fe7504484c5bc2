/** What the system says of this node's own network, and not of whoever was to be reached through it. */
const OWN_CODES: ReadonlySet<unknown> = new Set([
  'ENETUNREACH', // no way to that network
  'ENETDOWN',
  'EADDRNOTAVAIL', // no address, or no port, to connect from
  'EAI_AGAIN', // nobody answers for names
  'ENOBUFS',
  'EMFILE',
  'ENFILE',
  'EPERM', // a rule of this machine
]);
const CAUSES_LIMIT = 8;

/** @returns whether nothing was sent because of this node: of several addresses that were tried, this must be so for each. */
export function isOwnNetworkFault(error: unknown): error is Error {
  let at = error;
  for (let depth = 0; at instanceof Error && depth < CAUSES_LIMIT; depth += 1) {
    if (at instanceof AggregateError && at.errors.length > 0) return at.errors.every(isOwnNetworkFault);
    if ('code' in at && OWN_CODES.has(at.code)) return true;
    at = at.cause;
  }
  return false;
}
