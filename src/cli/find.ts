import { AspenError } from '../base/index.ts';
import type { Job } from '../rpc/index.ts';
import type { CommandContext } from './command.ts';
import { wrongUsage } from './failure.ts';
import { WHOLE_PEER_ID } from './peer-id.ts';

type Caller = Pick<CommandContext, 'call'>;

/** "job_" and 26 characters: nothing to search for. */
const WHOLE_JOB_ID = /^job_[0-9a-hjkmnp-tv-z]{26}$/;
const PAGE = 500;
const PAGES_LIMIT = 20;
/** Hooks deliver by jobs of their own, which nobody handed in. */
const DELIVERY_TYPE = 'hook.deliver';
/** Among so many there is one that somebody handed in, or `last` is a delivery. */
const NEWEST = 50;

/** @param name an id, a unique prefix of one, or `last`. @returns the whole id. @throws AspenError NOT_FOUND, CONFLICT when several fit. */
export async function findJobId(caller: Caller, name: string): Promise<string> {
  refuseEmpty('job', name);
  if (WHOLE_JOB_ID.test(name)) return name;
  if (name === 'last') return await lastJobId(caller);
  const exact = await caller.call('job.get', { id: name }).catch(undefinedWhenAbsent);
  if (exact !== undefined) return exact.id;
  const found: string[] = [];
  for await (const job of allJobs(caller)) if (job.id.startsWith(name)) found.push(job.id);
  return onlyOne('job', name, found);
}

async function lastJobId(caller: Caller): Promise<string> {
  const { jobs } = await caller.call('job.list', { limit: NEWEST });
  const newest = jobs.find(({ spec }) => spec.type !== DELIVERY_TYPE) ?? jobs[0];
  return newest?.id ?? onlyOne('job', 'last', []);
}

async function* allJobs(caller: Caller): AsyncGenerator<Job> {
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_LIMIT; page += 1) {
    const listed = await caller.call('job.list', {
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    yield* listed.jobs;
    cursor = listed.cursor;
    if (cursor === undefined) return;
  }
}

/** @param name a peer id, a unique prefix of one, or a node's name. @returns the peer id. */
export async function findPeerId(caller: Caller, name: string): Promise<string> {
  refuseEmpty('node', name);
  if (WHOLE_PEER_ID.test(name)) return name;
  const { nodes } = await caller.call('node.list', {});
  const named = nodes.filter((node) => node.name === name || node.peerId === name);
  const fitting = named.length > 0 ? named : nodes.filter((node) => node.peerId.startsWith(name));
  return onlyOne(
    'node',
    name,
    fitting.map((node) => node.peerId),
  );
}

/** @param name a ticket's id, a unique prefix of one, or `last`. */
export async function findTicketId(caller: Caller, name: string): Promise<string> {
  refuseEmpty('ticket', name);
  const { tickets } = await caller.call('mesh.tickets', {});
  const ids = tickets.map(({ id }) => id).sort(); // ids sort by the time of their making
  if (name === 'last') return ids.at(-1) ?? onlyOne('ticket', name, []);
  if (ids.includes(name)) return name;
  return onlyOne(
    'ticket',
    name,
    ids.filter((id) => id.startsWith(name)),
  );
}

/** A variable that was not set is a prefix of every id, and would name the only node there is. @throws AspenError as wrong usage */
export function refuseEmpty(what: string, name: string): void {
  if (name === '') throw wrongUsage(`an empty text names no ${what}`);
}

function onlyOne(what: string, name: string, found: readonly string[]): string {
  if (found.length === 1) return found[0] as string;
  if (found.length === 0) throw new AspenError('NOT_FOUND', `no ${what} "${name}"`);
  const shown = found.slice(0, 5).join(', ');
  throw new AspenError('CONFLICT', `"${name}" fits ${found.length} ${what}s: ${shown}`);
}

function undefinedWhenAbsent(error: unknown): undefined {
  if (error instanceof AspenError && error.code === 'NOT_FOUND') return undefined;
  throw error;
}
