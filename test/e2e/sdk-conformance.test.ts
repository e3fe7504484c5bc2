import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MUTATING_METHODS } from '../../src/rpc/os-client.ts';
import { Cluster } from './harness/index.ts';

const ROOT = join(import.meta.dirname, '../..');
const CASES = join(ROOT, 'sdk/conformance/cases.json');
const run = promisify(execFile);

interface Told {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: string;
}

const DRIVERS = [
  { language: 'TypeScript', program: process.execPath, script: 'test/conformance/typescript.ts' },
  { language: 'Python', program: 'python3', script: 'sdk/python/tests/conformance.py' },
];

describe('the SDK', () => {
  const names = (JSON.parse(readFileSync(CASES, 'utf8')) as readonly Told[]).map(({ name }) => name);

  for (const { language, program, script } of DRIVERS) {
    it(`for ${language} does what every SDK does`, async () => {
      await using cluster = new Cluster();
      const [agent] = await cluster.mesh(['a']);
      assert.ok(agent);
      const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };
      const { stdout } = await run(program, [join(ROOT, script), CASES, agent.dataDir], { env });
      const told = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Told);
      assert.deepEqual(
        told.filter(({ ok }) => !ok),
        [],
      );
      assert.deepEqual(
        told.map(({ name }) => name),
        names,
      );
    });
  }

  it('for Python repeats the same methods under one request id as the agent takes one for', () => {
    const text = readFileSync(join(ROOT, 'sdk/python/aspen_agent/methods.py'), 'utf8');
    const listed = [...text.matchAll(/"([a-zA-Z]+\.[a-zA-Z]+)"/g)].map(([, name]) => name);
    assert.deepEqual(listed.sort(), [...MUTATING_METHODS].sort());
  });
});
