import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import { OsRandom } from '../../../src/base/os-random.ts';
import { type AttemptSecrets, sealSecret, toSealedText } from '../../../src/secrets/index.ts';
import { readSealingKey } from '../../../src/secrets/os-sealing-key.ts';
import { clearSecretFiles, OsSecretOpener } from '../../../src/secrets/os-secret-opener.ts';
import type { SupervisedEnd } from '../../../src/supervisor/index.ts';
import { OsBootClock } from '../../../src/supervisor/os-boot-clock.ts';
import { OsCensus } from '../../../src/supervisor/os-census.ts';
import { OsRunner } from '../../../src/supervisor/os-runner.ts';
import { OsSpool } from '../../../src/supervisor/os-spool.ts';
import type { Order } from '../../../src/supervisor/supervised-attempt.ts';
import { Supervision } from '../../../src/supervisor/supervision.ts';

const crypto = new OsCrypto();
const clock = new OsBootClock();
const NODE = 'this-node';
const OWNER = 'test_1';

describe('secrets of an attempt', function () {
  this.timeout(30_000);
  let directory: string;
  let dataDirectory: string;
  let sealingKey: Uint8Array;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'aspen-attempt-secrets-'));
    dataDirectory = join(directory, 'data');
    mkdirSync(dataDirectory);
    sealingKey = readSealingKey(dataDirectory, crypto);
  });
  after(() => rmSync(directory, { recursive: true }));

  function sealed(name: string, value: string | Uint8Array, key: Uint8Array = sealingKey) {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    const parts = { crypto, random: new OsRandom() };
    const secret = sealSecret(parts, { name, value: bytes, recipients: [{ peerId: NODE, sealingKey: key }] });
    const [grant] = secret.grants;
    assert.ok(grant);
    return toSealedText({ ...secret, wrap: grant.wrap });
  }

  function begin(script: string, secrets: AttemptSecrets | undefined, more: Partial<Order> = {}) {
    const ended = Promise.withResolvers<SupervisedEnd>();
    const supervision = new Supervision({
      runner: new OsRunner(),
      spool: new OsSpool(join(directory, 'outputs')),
      census: new OsCensus(),
      clock,
      secrets: new OsSecretOpener({ dataDirectory, owner: OWNER }),
      journal: { begun: () => undefined, ended: () => undefined },
      drawMark: () => `secrets-${process.pid}`,
    });
    supervision.listen({
      started: () => undefined,
      output: () => undefined,
      ended: ({ end }) => ended.resolve(end as SupervisedEnd),
    });
    supervision.begin({
      name: 'job/1/1',
      note: null,
      outputKey: 'job/1',
      holdUntilBootMs: clock.bootMs() + 60_000,
      timeoutMs: null,
      graceMs: 100,
      maxOutputBytes: 1024 * 1024,
      captureStderr: true,
      command: script,
      args: [],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
      shell: true,
      ...(secrets !== undefined && { secrets }),
      ...more,
    });
    return { supervision, ended: ended.promise };
  }

  const secretsOf = (env: AttemptSecrets['env'], files: AttemptSecrets['files'] = {}): AttemptSecrets => ({
    peerId: NODE,
    env,
    files,
  });
  const outputs = () =>
    readdirSync(join(directory, 'outputs')).map((name) => readFileSync(join(directory, 'outputs', name)));

  it('are a key of the machine that is drawn once, the private half for its owner alone', () => {
    assert.deepEqual(readSealingKey(dataDirectory, crypto), sealingKey);
    assert.equal(statSync(join(dataDirectory, 'sealing.key')).mode & 0o777, 0o600);
  });

  it('masks what it writes of them, in the record and in the whole output', async () => {
    const value = 'correct-horse-battery';
    const script =
      'printf "a $V b"; printf "%s" "$V" | head -c 5; sleep 0.2; printf "%s" "$V" | tail -c +6; echo; echo $V >&2';
    const end = await begin(script, secretsOf({ V: sealed('v', value) })).ended;
    assert.deepEqual([end.output.stdout, end.output.stderr], ['a [secret] b[secret]\n', '[secret]\n']);
    assert.ok(!outputs().some((bytes) => bytes.includes(value)));
  });

  it('are files of their owner alone, gone when the attempt has ended, also when it was stopped', async () => {
    const script =
      'echo $ASPEN_SECRETS_DIR; stat -c %a $ASPEN_SECRETS_DIR/key $ASPEN_SECRETS_DIR; wc -c < $ASPEN_SECRETS_DIR/key';
    const files = { key: sealed('k', new Uint8Array([0, 255, 10])) };
    const end = await begin(script, secretsOf({}, files)).ended;
    const [path = '', ...facts] = end.output.stdout.trim().split('\n');
    assert.deepEqual(
      facts.map((fact) => fact.trim()),
      ['600', '700', '3'],
    );
    assert.ok(!existsSync(path));
    const { ended } = begin('echo $ASPEN_SECRETS_DIR; sleep 60', secretsOf({}, files), { timeoutMs: 300 });
    const stopped = await ended;
    assert.equal(stopped.endedBy, 'timeout');
    assert.ok(stopped.output.stdout.startsWith('/') && !existsSync(stopped.output.stdout.trim()));
  });

  const unreadable: readonly (readonly [string, () => AttemptSecrets, RegExp])[] = [
    [
      'sealed to another key',
      () => secretsOf({ V: sealed('db', 'x', crypto.sealingPublicKey(new Uint8Array(32))) }),
      /secret "db".*rotate db/,
    ],
    ['of another node', () => ({ ...secretsOf({ V: sealed('db', 'x') }), peerId: 'other' }), /secret "db"/],
    ['no text for a variable', () => secretsOf({ V: sealed('db', new Uint8Array([255, 0])) }), /secretFiles/],
    [
      'a file that leads out of its directory',
      () => secretsOf({}, { '../x': sealed('db', 'x') }),
      /no name for a file/,
    ],
  ];
  for (const [what, make, message] of unreadable) {
    it(`begins nothing with what is ${what}`, async () => {
      const { exit } = await begin('touch ran', make(), { cwd: directory }).ended;
      assert.equal(exit.spawnError?.code, 'SECRET_UNREADABLE');
      assert.match(exit.spawnError?.message ?? '', message);
      assert.ok(!existsSync(join(directory, 'ran')));
    });
  }

  it('that a killed supervisor left are removed, and no others', () => {
    const opener = (owner: string) => new OsSecretOpener({ dataDirectory, owner });
    const directoryOf = (opened: { readonly env: Readonly<Record<string, string>> }) =>
      opened.env['ASPEN_SECRETS_DIR'] as string;
    const secrets = secretsOf({}, { key: sealed('k', 'x') });
    const [left, held] = [opener('gonetest_1').open(secrets), opener('livetest_1').open(secrets)];
    try {
      clearSecretFiles((owner) => owner !== 'gonetest_1');
      assert.deepEqual([existsSync(directoryOf(left)), existsSync(directoryOf(held))], [false, true]);
    } finally {
      held.close();
    }
    assert.ok(!existsSync(directoryOf(held)));
  });
});
