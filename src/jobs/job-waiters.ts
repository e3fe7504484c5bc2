import { z } from 'zod';
import type { Clock, Timer } from '../base/index.ts';
import type { LeaderRequest, Leadership } from '../lease/index.ts';
import { type JobView, jobView } from './job-view.ts';
import { resolveRecord } from './queries.ts';
import { isFinal } from './record.ts';
import { findRecord } from './record-index.ts';

/** Longest a question is kept open; whoever waits longer asks again. Unit: ms. */
export const WAIT_LIMIT_MS = 20_000;

const waitSchema = z.object({ id: z.string(), waitMs: z.number().min(0).max(WAIT_LIMIT_MS) });

interface Waiter {
  readonly resolve: (view: JobView) => void;
  readonly timer: Timer;
}

/** Answers `jobs/wait` on the leader: the job as soon as it is final, or as it is when the time is over. */
export function serveWaiters(leadership: Leadership, clock: Clock): Disposable {
  const waiters = new Map<string, Set<Waiter>>();
  const viewOf = (id: string) => leadership.read(({ module }) => jobView(resolveRecord(module('jobs'), id)));

  const wait = async ({ body }: LeaderRequest): Promise<JobView> => {
    const { id: name, waitMs } = waitSchema.parse(body);
    await leadership.confirm(); // nobody is told of a state that a later leader may not know
    const view = viewOf(name);
    if (isFinal(view.state) || waitMs === 0) return view;
    return new Promise((resolve) => {
      const timer = clock.setTimer(waitMs, () => end(view.id, waiter, viewOf(view.id)));
      const waiter: Waiter = { resolve, timer };
      waiters.set(view.id, (waiters.get(view.id) ?? new Set<Waiter>()).add(waiter));
    });
  };

  const end = (id: string, waiter: Waiter, view: JobView) => {
    waiter.timer.cancel();
    const others = waiters.get(id);
    others?.delete(waiter);
    if (others?.size === 0) waiters.delete(id);
    waiter.resolve(view);
  };

  leadership.serve('jobs/wait', wait);
  const subscription = leadership.onFacts((facts) => {
    for (const { module, type, id } of facts) {
      if (module !== 'jobs' || type !== 'final') continue;
      const waiting = waiters.get(id as string);
      if (waiting === undefined) continue;
      const record = leadership.read(({ module: of }) => findRecord(of('jobs'), id as string));
      if (record === undefined) continue;
      for (const waiter of [...waiting]) end(record.id, waiter, jobView(record));
    }
  });
  return {
    [Symbol.dispose]() {
      subscription[Symbol.dispose]();
      for (const waiting of waiters.values()) for (const { timer } of waiting) timer.cancel();
    },
  };
}
