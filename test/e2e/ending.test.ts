import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, until } from './harness/index.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
/** An agent that has nothing to finish ends long before: this is for a machine that has a lot to do. */
const SOON_MS = 15_000;
/** As long as nothing is added, agents have nothing to add. */
const REST_MS = 3_000;

/** @returns their exit codes, once all have ended. @throws Error when one does not end soon. */
function endedAll(agents: readonly Agent[]): Promise<(number | null)[]> {
  return Promise.all(agents.map((agent) => agent.ended({ timeoutMs: SOON_MS })));
}

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map(String).sort();
}

describe('agents that are told to stop', () => {
  it('all at once end soon, write no compiled code any more, and lose nothing', async function () {
    this.timeout(180_000);
    await using cluster = new Cluster();
    const cache = join(cluster.directory, 'cache');
    mkdirSync(cache, { mode: 0o700 });
    const agents = await cluster.mesh(NAMES, { env: { XDG_CACHE_HOME: cache } });
    const [first] = agents as [Agent];
    for (let at = 0; at < 20; at += 1) await first.call('kv.put', { key: `k${at}`, value: `${at}` });
    const compiled = join(cache, 'aspen', 'compiled');
    let before: string[] = [];
    await until(
      () => {
        const seen = before.length;
        before = filesUnder(compiled);
        return before.length > 0 && before.length === seen;
      },
      { what: 'all agents to have kept compiled code', everyMs: REST_MS },
    );
    for (const agent of agents) agent.signal('SIGTERM');
    const codes = await endedAll(agents);
    assert.deepEqual(
      codes,
      NAMES.map(() => 0),
    );
    assert.deepEqual(filesUnder(compiled), before);
    for (const agent of agents) await agent.up();
    const value = await first.call<{ value: string }>('kv.get', { key: 'k19' });
    assert.equal(value.value, '19');
  });

  it('end soon though the others of their group are gone', async function () {
    this.timeout(180_000);
    await using cluster = new Cluster();
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const [left, ...gone] = agents as [Agent, ...Agent[]];
    await Promise.all(gone.map((agent) => agent.kill9()));
    left.signal('SIGTERM');
    assert.deepEqual(await endedAll([left]), [0]);
  });
});
