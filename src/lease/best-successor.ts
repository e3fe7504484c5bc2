import type { LogIndex, PeerId } from '../base/index.ts';
import type { RaftState } from './raft/index.ts';

/** @returns the other voter best fit to lead, of those that may. */
export function bestSuccessor(
  { configuration, progress }: RaftState,
  self: PeerId,
  mayLead: (peer: PeerId) => boolean = () => true,
): PeerId | undefined {
  let best: { readonly peer: PeerId; readonly matchIndex: LogIndex } | undefined;
  for (const peer of configuration.voters) {
    const known = progress.get(peer);
    if (peer === self || known === undefined || !known.isRecentlyActive || !mayLead(peer)) continue;
    if (best === undefined || known.matchIndex > best.matchIndex)
      best = { peer, matchIndex: known.matchIndex };
  }
  return best?.peer;
}
