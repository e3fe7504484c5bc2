import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../bin/aspen-agent', import.meta.url));

describe('bin/aspen-agent', () => {
  it('says where it can run when npm has put a copy of it below node_modules', () => {
    const folder = mkdtempSync(join(tmpdir(), 'aspen-program-'));
    try {
      const root = join(folder, 'node_modules', 'aspen-agent');
      mkdirSync(join(root, 'bin'), { recursive: true });
      cpSync(PROGRAM, join(root, 'bin', 'aspen-agent'));
      const { status, stderr } = spawnSync(join(root, 'bin', 'aspen-agent'), ['version'], {
        encoding: 'utf8',
      });
      assert.equal(status, 1);
      assert.match(stderr, /inside node_modules.*run it from its checkout/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
