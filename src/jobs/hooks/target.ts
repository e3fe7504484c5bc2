import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import type { Leadership } from '../../lease/index.ts';
import { parseWith } from '../../lease/machine/index.ts';
import type { LiveIndex } from '../live-index.ts';
import { findRecord } from '../record-store.ts';
import { DELIVERY_TYPE } from './deliveries.ts';

/** The question a node asks the leader when it is to deliver. */
export const HOOK_TARGET = 'jobs/hookTarget';

/** Where a delivery goes, and the name of the secret that it is signed with. */
export interface HookTarget {
  readonly url: string;
  readonly secretName: string | null;
}

const parseAsk = parseWith(z.object({ jobId: z.string().min(1).max(128), fencingToken: z.number() }));

/**
 * E3 Where to is told to the node alone that runs the attempt of a delivery, for as long as it does.
 * @throws (to who asks) AspenError FENCED when it does not; NOT_FOUND when the hook was removed.
 */
export function serveHookTargets(leadership: Leadership): Disposable {
  return leadership.serve(HOOK_TARGET, ({ from, body }): HookTarget => {
    const { jobId, fencingToken } = parseAsk(body);
    return leadership.read(({ module }) => {
      const jobs = module('jobs');
      const record = findRecord(jobs, jobId);
      const running = record?.running ?? null;
      if (
        record?.spec.type !== DELIVERY_TYPE ||
        running?.node !== from ||
        running.fencingToken !== fencingToken
      )
        throw new AspenError('FENCED', `${jobId} is not delivered by ${from}`);
      const hook = jobs.derived<LiveIndex>().hooks.find(record.spec.queue);
      if (hook === undefined) throw new AspenError('NOT_FOUND', `the hook ${record.spec.queue} was removed`);
      return { url: hook.url, secretName: hook.secretName };
    });
  });
}
