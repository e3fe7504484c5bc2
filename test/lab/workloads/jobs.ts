import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Agent, type Job, type Submitted, until } from '../../e2e/harness/index.ts';
import { brokenJobs, type FinalJob } from '../checks.ts';
import { LabClient } from '../client.ts';
import { gapsMs, ledgerScript, overlaps, readLedger } from '../ledger.ts';
import type { Workload, WorkloadContext } from '../workload.ts';

const CALL_CAP_MS = 8_000;
const PAUSE_MS = 400;
const END_CAP_MS = 120_000;
/** Lost attempts do not fail a job of this lab: it may lose as many as there are faults in a round. */
const ATTEMPTS = 50;

/** Most work is short; one job in so many takes longer than a silent node keeps an attempt, so that some are given to another. */
const LONG_ONE_IN = 6;
const WORK_S = { short: 0.2, long: 6 };

/** One client an agent submits shell jobs; each run writes into a ledger before anything else, and then again and again while it lives. */
export function startJobs({ agents, prefix, directory }: WorkloadContext): Workload {
  const ledger = join(directory, `ledger-${prefix.replaceAll('/', '-')}`);
  const accepted = new Set<string>();
  const clients = agents.map((agent) => new LabClient(agent));
  const stopping = new AbortController();
  let unknown = 0;

  async function work(client: LabClient): Promise<void> {
    for (let at = 0; !stopping.signal.aborted; at += 1) {
      const spec = specOf(ledger, at % LONG_ONE_IN === 0 ? WORK_S.long : WORK_S.short);
      const answer = await client.call<Submitted>('job.submit', spec, CALL_CAP_MS);
      if (answer.type === 'unknown') unknown += 1;
      if (answer.type === 'ok') accepted.add(answer.value.id);
      await pause(PAUSE_MS);
    }
    client[Symbol.dispose]();
  }

  const ended = Promise.all(clients.map(work));
  return {
    writes: [],
    stop: async () => {
      stopping.abort();
      await ended;
    },
    check: async () => {
      const seen = new Map<string, ReadonlyMap<string, FinalJob>>();
      const [first, ...others] = agents as [Agent, ...Agent[]];
      await allEnded(first, accepted);
      for (const agent of [first, ...others]) seen.set(agent.name, await jobsAt(agent, accepted));
      const surprises = clients.flatMap((client) => client.surprises);
      const { executions, stamps } = readLedger(ledger);
      const violations = [...brokenJobs(accepted, seen, executions), ...overlaps(stamps), ...surprises];
      const lostAttempts = attemptsLost(seen.get(first.name) as ReadonlyMap<string, FinalJob>);
      const counts = { acknowledged: accepted.size, unknown, lost: 0, stale: 0, lostAttempts };
      return { workload: 'jobs', ...counts, leastGapMs: least(gapsMs(stamps)), violations };
    },
  };
}

function specOf(ledger: string, workS: number): object {
  return {
    type: 'shell',
    payload: { command: 'sh', args: ['-c', ledgerScript(ledger, workS)] },
    requireMesh: true,
    retry: { maxAttempts: ATTEMPTS, backoff: 'none' },
  };
}

/** A job that does not end by then is found by the check, and told with its state. */
async function allEnded(agent: Agent, ids: ReadonlySet<string>): Promise<void> {
  const deadline = performance.now() + END_CAP_MS;
  for (const id of ids) {
    const leftMs = Math.max(1, Math.round(deadline - performance.now()));
    await agent.waitForJob(id, leftMs).catch((error: unknown) => {
      process.stderr.write(`    ${id} has not ended: ${String(error)}\n`);
    });
  }
}

async function jobsAt(agent: Agent, ids: ReadonlySet<string>): Promise<ReadonlyMap<string, FinalJob>> {
  const jobs = new Map<string, FinalJob>();
  for (const id of ids) {
    const job = await until(() => agent.call<Job>('job.get', { id }), {
      what: `${agent.name} to tell ${id}`,
    });
    jobs.set(id, job);
  }
  return jobs;
}

function attemptsLost(jobs: ReadonlyMap<string, FinalJob>): number {
  const pasts = [...jobs.values()].flatMap(({ history }) => history);
  return pasts.filter(({ outcome }) => outcome === 'lost').length;
}

function least(gaps: readonly number[]): number | null {
  return gaps.length === 0 ? null : Math.min(...gaps);
}
