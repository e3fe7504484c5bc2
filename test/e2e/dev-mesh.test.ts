import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentStatus, runProgram, until } from './harness/index.ts';
import { STORY_CAP_MS } from './harness/mocha.ts';
import { startProgram } from './harness/program.ts';

describe('a mesh for trying things out', function () {
  this.timeout(STORY_CAP_MS);
  const directory = mkdtempSync(join(tmpdir(), 'aspen-e2e-'));
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('is there with one command and gone with Ctrl-C', async () => {
    const log = join(directory, 'log');
    const dev = startProgram(['dev', '--nodes', '3'], log, {});
    const ended = once(dev, 'exit');
    let nodes: { peerId: string; dataDir: string }[];
    try {
      nodes = await until(
        () => {
          const lines = readFileSync(log, 'utf8').matchAll(/^(\S+) {2}(12D3\S+) {2}(\/\S+)$/gm);
          const found = [...lines].map(([, , peerId = '', dataDir = '']) => ({ peerId, dataDir }));
          return found.length === 3 && found;
        },
        { what: 'three agents to be announced' },
      );
      const dataDir = nodes[0]?.dataDir as string;
      const status = await runProgram(['status', '-o', 'json', '--data-dir', dataDir]);
      assert.equal((JSON.parse(status.stdout) as AgentStatus).peerId, nodes[0]?.peerId);
      const ran = await runProgram(['run', '--data-dir', dataDir, '--', 'echo', 'tried']);
      assert.deepEqual([ran.code, ran.stdout], [0, 'tried\n'], ran.stderr);
    } finally {
      dev.kill('SIGINT');
    }
    assert.deepEqual(await ended, [0, null]);
    for (const { dataDir } of nodes) {
      assert.ok(!existsSync(dataDir), `${dataDir} is still there`);
      assert.equal((await runProgram(['status', '--data-dir', dataDir])).code, 6);
    }
  });
});
