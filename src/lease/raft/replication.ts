import type { LogIndex, Term } from '../../base/brand.ts';
import type { RaftLog } from './log.ts';
import type { Append } from './messages.ts';
import { logIndex } from './positions.ts';
import type { Entry } from './types.ts';

export type AppendVerdict =
  | {
      readonly type: 'accepted';
      readonly truncateFrom: LogIndex | null;
      /** What is new; entries already held are left out. */
      readonly entries: readonly Entry[];
      readonly matchIndex: LogIndex;
    }
  | {
      readonly type: 'rejected';
      readonly rejectedIndex: LogIndex;
      readonly hintIndex: LogIndex;
      readonly hintTerm: Term;
    };

/**
 * What a follower makes of an append. Only a real conflict cuts the log: an old message that was overtaken must not
 * remove entries which a newer one brought (paper, 5.3). A rejection carries the follower's newest term that may
 * agree, so that a leader skips a whole term per round trip.
 */
export function acceptAppend(log: RaftLog, append: Append): AppendVerdict {
  const { previousIndex, previousTerm, entries } = append;
  if (previousIndex < log.commitIndex) {
    return { type: 'accepted', truncateFrom: null, entries: [], matchIndex: log.commitIndex };
  }
  if (!log.matches(previousIndex, previousTerm)) {
    const hint = log.lastAtOrBelow(Math.min(previousIndex, log.lastIndex), previousTerm);
    return { type: 'rejected', rejectedIndex: previousIndex, hintIndex: hint.index, hintTerm: hint.term };
  }
  const matchIndex = logIndex(previousIndex + entries.length);
  const firstNew = entries.findIndex((entry) => !log.matches(entry.index, entry.term));
  if (firstNew === -1) return { type: 'accepted', truncateFrom: null, entries: [], matchIndex };
  const fresh = entries.slice(firstNew);
  const from = logIndex(previousIndex + 1 + firstNew);
  return { type: 'accepted', truncateFrom: from <= log.lastIndex ? from : null, entries: fresh, matchIndex };
}
