import { explain, type NodeView } from '../affinity/index.ts';
import { placementOf } from './plan.ts';
import { isFinal, type JobRecord } from './record.ts';

/** Why a job is not running, or what it waits for. */
export interface JobExplanation {
  readonly state: JobRecord['state'];
  /** One phrase; null when the job is final. */
  readonly waitingFor: string | null;
  /** Every node that holds a session, with what rules it out now. */
  readonly nodes: { readonly peerId: string; readonly fits: boolean; readonly reasons: string[] }[];
}

export function explainJob(record: JobRecord, views: readonly NodeView[]): JobExplanation {
  const explained = explain(placementOf(record.spec), views);
  return {
    state: record.state,
    waitingFor: waitingFor(record, explained),
    nodes: explained.map(({ peerId, fits, reasons }) => ({ peerId, fits, reasons: [...reasons] })),
  };
}

function waitingFor(
  record: JobRecord,
  nodes: readonly { readonly fits: boolean; readonly isEligible: boolean }[],
): string | null {
  if (isFinal(record.state)) return null;
  if (record.state === 'running') return `attempt ${record.attempt} to end`;
  if (record.state === 'cancelling') return 'its worker to prove that the attempt is over';
  if (record.state === 'scheduled')
    return record.attempt === 0 ? 'its time' : 'the pause after a failed attempt';
  if (nodes.length === 0) return 'a node that runs jobs';
  if (nodes.some(({ fits }) => fits)) return 'its turn: a node fits and has a free slot';
  if (nodes.some(({ isEligible }) => isEligible))
    return 'a node that fits to be heard and to have a free slot';
  return `a node that fits: none of ${nodes.length} does`;
}
