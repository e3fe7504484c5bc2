import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CannotStart } from '../../../src/base/index.ts';
import { makeDataDirectory } from '../../../src/base/os-make-directory.ts';

describe('a directory for the data of an agent', () => {
  const onLinux = process.platform === 'linux' ? it : () => undefined;
  const asUser = process.platform !== 'win32' && process.getuid?.() !== 0 ? it : () => undefined;
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'aspen-made-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const refused = (path: string, says: RegExp) =>
    assert.throws(
      () => makeDataDirectory(path),
      (error) => error instanceof CannotStart && says.test(error.message),
    );

  it('is made with those above it, for its owner alone, and left empty', () => {
    const path = join(root, 'a', 'b', 'c');
    assert.equal(makeDataDirectory(path), true);
    assert.deepEqual([statSync(path).mode & 0o777, statSync(join(root, 'a')).mode & 0o777], [0o700, 0o700]);
    assert.deepEqual(readdirSync(path), []);
  });

  it('is taken as it is where it is there', () => {
    writeFileSync(join(root, 'format.json'), '{}');
    assert.equal(makeDataDirectory(root), false);
    assert.deepEqual(readdirSync(root), ['format.json']);
  });

  it('is refused where a file is in the way, naming the file', () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    refused(file, /file is there, and is no directory$/);
    refused(join(file, 'a', 'b'), /\/file is there, and is no directory$/);
  });

  onLinux('is refused at once where the system makes none', () => {
    refused(
      '/proc/aspen/a',
      /cannot make the data directory \/proc\/aspen\/a: \/proc takes no new directories$/,
    );
  });

  asUser('is refused where this user may not write', () => {
    const closed = join(root, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    refused(closed, /this user may not write to .*closed$/);
    refused(join(closed, 'a'), /this user may not write to .*closed$/);
    assert.ok(!existsSync(join(closed, 'a')));
  });
});
