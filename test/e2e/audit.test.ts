import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Line {
  readonly seq: number;
  readonly kind: string;
  readonly [field: string]: unknown;
}

describe('the audit log of a node', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agent: Agent;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agent = cluster.add('a');
    await agent.up();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const directory = () => join(agent.dataDir, 'audit');
  const tail = async (): Promise<Line[]> => {
    const { stdout } = await agent.cli(['audit', 'tail', '-n', '1000', '-o', 'json']);
    return (JSON.parse(stdout) as { readonly records: Line[] }).records;
  };

  it('has acts and executions, in order, and nothing secret', async () => {
    const { stdout: ticket } = await agent.cli(['ticket', 'create']);
    const payload = { command: 'sh', args: ['-c', 'exit 3'], env: { TOKEN: 'hidden-value' } };
    const { id } = await agent.submit({ type: 'shell', payload, retry: { maxAttempts: 1 } });
    await agent.waitForJob(id);
    const lines = await tail();
    const kinds = lines.map(({ kind }) => kind);
    assert.deepEqual(kinds, [
      'agent.start',
      'act',
      'act.done',
      'submission',
      'execution.start',
      'execution.end',
    ]);
    const [start, end] = lines.slice(-2);
    assert.deepEqual([start?.['jobId'], start?.['program'], start?.['variables']], [id, 'sh', ['TOKEN']]);
    assert.deepEqual([end?.['ok'], end?.['code'], end?.['exitCode']], [false, 'EXIT_CODE', 3]);
    const text = readdirSync(directory())
      .map((name) => readFileSync(join(directory(), name), 'utf8'))
      .join('');
    assert.ok(!text.includes('hidden-value') && !text.includes(ticket.trim()));
  });

  it("is the owner's alone", () => {
    assert.equal(statSync(directory()).mode & 0o777, 0o700);
    for (const name of readdirSync(directory()))
      assert.equal(statSync(join(directory(), name)).mode & 0o777, 0o600, name);
  });

  it('goes on over a kill of the agent', async () => {
    await agent.kill9();
    await agent.up();
    const verified = await agent.cli(['audit', 'verify']);
    assert.equal(verified.code, 0, verified.stdout);
    assert.equal((await tail()).filter(({ kind }) => kind === 'agent.start').length, 2);
  });

  it('names the first line that was changed, and ends with 1', async () => {
    const name = readdirSync(directory()).find((file) => file.endsWith('.jsonl')) as string;
    const path = join(directory(), name);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"program":"sh"', '"program":"ls"'));
    const verified = await agent.cli(['audit', 'verify']);
    assert.equal(verified.code, 1);
    assert.match(verified.stdout, /broken in audit-0+1\.jsonl, line 4 /);
  });
});
