import { z } from 'zod';
import type { NodeView } from '../affinity/index.ts';
import type { Clock, Coordinate, PeerId } from '../base/index.ts';
import type { Leadership } from '../lease/index.ts';
import { type Bucket, parseWith } from '../lease/machine/index.ts';
import { explainJob, type JobExplanation } from './explain.ts';
import type { LiveIndex } from './live-index.ts';
import type { QueryContext } from './machine-port.ts';
import type { NamedByJobs, NodeOffers } from './node-offers.ts';
import { resolveRecord } from './queries.ts';
import type { JobRecord } from './record.ts';
import { findRecord } from './record-store.ts';
import type { Held } from './start-rules.ts';
import { heldBack } from './starts.ts';

export interface ExplainerComponents {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly leadership: Pick<Leadership, 'read' | 'groupMs'>;
  readonly offers: Pick<NodeOffers, 'secretsOf'>;
  /** What nodes offer now. */
  readonly viewsOf: (named: NamedByJobs) => readonly NodeView[];
  /** Members as they were heard of last: also those without a session. */
  readonly knownNodes: () => readonly NodeView[];
  readonly coordinateOf?: ((peerId: PeerId) => Coordinate | undefined) | undefined;
}

const parseJobName = parseWith(z.object({ id: z.string().min(1).max(128) }));

/** Tells why a job is not running, by what the leader sees now. @throws AspenError NOT_FOUND, INVALID_PARAMS */
export function explainTo(components: ExplainerComponents, body: unknown): JobExplanation {
  const { clock, leadership, offers, viewsOf, knownNodes, coordinateOf } = components;
  const { id } = parseJobName(body);
  const [record, held] = leadership.read(({ module }) => {
    const jobs = module('jobs');
    const found = resolveRecord(jobs, id);
    return [found, found.state === 'queued' ? heldOf(found, jobs, leadership.groupMs()) : undefined];
  });
  const { data, secrets } = record.spec.affinity;
  const named = { isDataNamed: data !== undefined, secrets: secrets && new Set(secrets) };
  const views = viewsOf(named);
  const secretsOf = offers.secretsOf(named);
  const seen = new Set(views.map(({ peerId }) => peerId));
  const absent = knownNodes()
    .filter(({ peerId }) => !seen.has(peerId))
    .map((view) => ({ ...view, secrets: secretsOf?.(view.peerId) }));
  const stateOf = (name: string) => leadership.read(({ module }) => findRecord(module('jobs'), name))?.state;
  const now = { groupMs: leadership.groupMs(), wallMs: clock.wallMs() };
  return explainJob(record, [...views, ...absent], { held, stateOf, coordinateOf, now });
}

function heldOf({ spec }: JobRecord, jobs: QueryContext, groupMs: number): Held | undefined {
  const { limits, hooks, tallies } = jobs.derived<LiveIndex>();
  const buckets = jobs.table<Bucket>('buckets');
  return heldBack(spec, { limits, hooks, running: tallies, buckets, groupMs });
}
