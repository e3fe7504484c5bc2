/**
 * What a leader appends: commands, other members, the empty entry that begins its term, the end of a joint configuration.
 */
import { invariant } from '../../base/assert.ts';
import type { PeerId } from '../../base/brand.ts';
import type { ConfigurationHistory } from './configuration-history.ts';
import type { Leading } from './leading.ts';
import type { RaftLog } from './log.ts';
import { type ConfigurationChange, changed, isJoint, isVoter, left } from './membership.ts';
import { logIndex } from './positions.ts';
import type { ConfigurationRefused, Proposed, ProposeRefusal, ProposeRefused } from './ready.ts';
import type { Standing } from './standing.ts';
import type { Configuration, Entry, EntryKind } from './types.ts';

export interface ProposingComponents {
  readonly standing: Standing;
  readonly log: RaftLog;
  readonly history: ConfigurationHistory;
}

interface Content {
  readonly kind: EntryKind;
  readonly payload: Uint8Array;
  readonly configuration?: Configuration;
}

const NO_PAYLOAD = new Uint8Array(0);

export class Proposing {
  readonly #self: PeerId;
  readonly #standing: Standing;
  readonly #log: RaftLog;
  readonly #history: ConfigurationHistory;

  constructor(self: PeerId, { standing, log, history }: ProposingComponents) {
    this.#self = self;
    this.#standing = standing;
    this.#log = log;
    this.#history = history;
  }

  commands(leading: Leading | null, payloads: readonly Uint8Array[]): Proposed | ProposeRefused {
    if (leading === null) return { refused: 'not-leader' };
    const refused = refusalOf(leading);
    if (refused !== null) return { refused };
    invariant(payloads.length > 0, 'a proposal must hold at least one payload');
    return this.#append(
      leading,
      payloads.map((payload) => ({ kind: 'command', payload })),
    );
  }

  /** @throws AspenError INVALID_PARAMS when a peer is named twice, CONFLICT when no voter would be left. */
  change(leading: Leading | null, change: ConfigurationChange): Proposed | ConfigurationRefused {
    if (leading === null) return { refused: 'not-leader' };
    const refused = refusalOf(leading);
    if (refused !== null && refused !== 'too-much-uncommitted') return { refused };
    if (this.#isChangePending(leading)) return { refused: 'change-pending' };
    const configuration = changed(this.#history.latest, change);
    if (configuration === undefined) return { refused: 'no-change' };
    return this.#configuration(leading, configuration);
  }

  /** What a new leader commits first (paper, section 8). */
  beginTerm(leading: Leading): void {
    this.#append(leading, [{ kind: 'empty', payload: NO_PAYLOAD }]);
  }

  /**
   * Leaves a joint configuration that is committed.
   * @returns whether the committed configuration is without this leader: it is to step down.
   */
  afterCommit(leading: Leading): boolean {
    this.#history.committed(this.#log.commitIndex);
    const { latest, latestIndex } = this.#history;
    if (latestIndex > this.#log.commitIndex || !leading.hasCommittedOwnTerm) return false;
    if (!isJoint(latest)) return !isVoter(latest, this.#self);
    this.#configuration(leading, left(latest));
    return false;
  }

  /** One change at a time, and none before an entry of this term is committed (the flaw of single-server changes). */
  #isChangePending(leading: Leading): boolean {
    if (isJoint(this.#history.latest) || this.#history.latestIndex > this.#log.commitIndex) return true;
    return !leading.hasCommittedOwnTerm;
  }

  #configuration(leading: Leading, configuration: Configuration): Proposed {
    return this.#append(leading, [{ kind: 'configuration', payload: NO_PAYLOAD, configuration }]);
  }

  #append(leading: Leading, contents: readonly Content[]): Proposed {
    const { term } = this.#standing;
    const firstIndex = logIndex(this.#log.lastIndex + 1);
    const entries: Entry[] = contents.map((content, at) => ({
      term,
      index: logIndex(firstIndex + at),
      ...content,
    }));
    this.#log.append(entries);
    leading.appended(entries);
    if (this.#history.append(entries)) leading.membersChanged();
    return { term, firstIndex, lastIndex: this.#log.lastIndex };
  }
}

function refusalOf(leading: Leading): ProposeRefusal | null {
  if (leading.transferee !== null) return 'transferring';
  return leading.isOverUncommittedLimit ? 'too-much-uncommitted' : null;
}
