import { setTimeout as pause } from 'node:timers/promises';
import type { Agent, KvScan } from '../../e2e/harness/index.ts';
import { until } from '../../e2e/harness/index.ts';
import { lostElements } from '../checks.ts';
import { LabClient } from '../client.ts';
import type { Workload, WorkloadContext } from '../workload.ts';

const CALL_CAP_MS = 4_000;
const PAUSE_MS = 20;

/** One client an agent adds elements, each once; all that was acknowledged is there in the end, at every agent. */
export function startGrowingSet({ agents, prefix }: WorkloadContext): Workload {
  const set = `${prefix}set/`;
  const acknowledged = new Set<string>();
  const writes: { calledMs: number; atMs: number }[] = [];
  const clients = agents.map((agent) => new LabClient(agent));
  const stopping = new AbortController();
  let unknown = 0;

  async function work(client: LabClient): Promise<void> {
    for (let at = 0; !stopping.signal.aborted; at += 1) {
      const key = `${set}${client.agent.name}/${at}`;
      const calledMs = performance.now();
      const answer = await client.call('kv.put', { key, value: key }, CALL_CAP_MS);
      if (answer.type === 'unknown') unknown += 1;
      if (answer.type === 'ok') {
        acknowledged.add(key);
        writes.push({ calledMs, atMs: performance.now() });
      }
      await pause(PAUSE_MS);
    }
    client[Symbol.dispose]();
  }

  const ended = Promise.all(clients.map(work));
  return {
    writes,
    stop: async () => {
      stopping.abort();
      await ended;
    },
    check: async () => {
      const found = new Map<string, ReadonlySet<string>>();
      for (const agent of agents) found.set(agent.name, await elementsAt(agent, set));
      const lost = lostElements(acknowledged, found);
      const surprises = clients.flatMap((client) => client.surprises);
      return {
        workload: 'set',
        acknowledged: acknowledged.size,
        unknown,
        lost: lost.length,
        stale: 0,
        violations: [...lost, ...surprises],
      };
    },
  };
}

async function elementsAt(agent: Agent, prefix: string): Promise<ReadonlySet<string>> {
  const elements = new Set<string>();
  let cursor: string | null | undefined;
  do {
    const params = { prefix, limit: 500, ...(typeof cursor === 'string' ? { cursor } : {}) };
    const page = await until(() => agent.call<KvScan>('kv.scan', params), {
      what: `${agent.name} to read the set`,
    });
    for (const { key } of page.entries ?? []) elements.add(key);
    cursor = page.cursor;
  } while (typeof cursor === 'string');
  return elements;
}
