import { AspenError, sleep } from '../../base/index.ts';
import { type ChangesAnswer, isFinal, type JobView, WATCH_LIMIT_MS } from '../../jobs/index.ts';
import type { Handlers, Params, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { Subscriptions } from './subscriptions.ts';

type WatchHandlers = Pick<Handlers, 'job.watch' | 'job.watchStop' | 'job.result'>;

/** Slack for the answer of the leader beyond the time it was asked to wait. Unit: ms. */
const WAIT_SLACK_MS = 5_000;
/** Before asking again when nobody could answer. Unit: ms. */
const PAUSE_MS = 250;

/** Changes of jobs, and what is left of final ones, as the socket offers them. */
export function jobWatchHandlers(daemon: Daemon): WatchHandlers {
  const watchers = new Subscriptions(daemon, 'job.watchEnd');
  return {
    'job.watch': async ({ filter = {}, cursor }, connection) => {
      const first = cursor ?? (await ask(daemon, filter, null, connection.signal)).cursor; // from now on
      return watchers.open('job.change', connection, (signal) => changesAfter(daemon, filter, first, signal));
    },
    'job.watchStop': async ({ subscription }, connection) => watchers.close(subscription, connection),
    'job.result': async ({ id }) => {
      const query = { module: 'jobs', kind: 'get', body: { id } };
      return resultOf(await daemon.node.group.client.query<JobView>(query));
    },
  };
}

type Filter = NonNullable<Params<'job.watch'>['filter']>;

/**
 * Asks on in rounds, so that a subscription survives the leader it was asked of; who takes too long between two rounds has missed changes
 * and is told so.
 * @throws AspenError RESOURCE_EXHAUSTED when changes were missed.
 */
async function* changesAfter(daemon: Daemon, filter: Filter, first: string, signal: AbortSignal) {
  for (let cursor = first; !signal.aborted; ) {
    const answer = await askOnce(daemon, filter, cursor, signal);
    if (answer === undefined) await sleep(daemon.clock, PAUSE_MS, signal);
    yield* answer?.changes ?? [];
    cursor = answer?.cursor ?? cursor;
  }
}

/** @returns undefined when nobody could answer in this round. */
async function askOnce(daemon: Daemon, filter: Filter, cursor: string, signal: AbortSignal) {
  try {
    return await ask(daemon, filter, cursor, signal);
  } catch (error) {
    signal.throwIfAborted();
    const isMissed = error instanceof AspenError && error.code === 'RESOURCE_EXHAUSTED';
    if (error instanceof AspenError && error.retry !== 'never' && !isMissed) return undefined;
    throw error;
  }
}

function ask({ node }: Daemon, filter: Filter, cursor: string | null, signal: AbortSignal) {
  const body = { filter: withoutUndefined(filter), cursor, waitMs: WATCH_LIMIT_MS };
  const options = { timeoutMs: WATCH_LIMIT_MS + WAIT_SLACK_MS, signal };
  return node.group.client.askLeader<ChangesAnswer>('jobs/watch', body, options);
}

function withoutUndefined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** @throws AspenError CONFLICT while the job is not final. */
function resultOf({ id, state, result, error }: JobView): Result<'job.result'> {
  if (isFinal(state)) return { id, state, result: result ?? null, error };
  throw new AspenError('CONFLICT', `${id} is ${state}, it has no result yet`, {
    details: { current: state },
  });
}
