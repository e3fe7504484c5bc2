import assert from 'node:assert/strict';
import { auditedExecutor } from '../../../src/agent/audit-trail.ts';
import { auditedHandlers } from '../../../src/agent/audited-acts.ts';
import { AuditLog, MemoryAuditFiles } from '../../../src/audit/index.ts';
import { AspenError, silentLogger } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import type { AttemptContext, ExecutionResult, Executor } from '../../../src/jobs/index.ts';
import type { Handlers } from '../../../src/rpc/index.ts';
import { ManualClock } from '../lease/manual-clock.ts';

const crypto = new OsCrypto();

async function openLog() {
  const files = new MemoryAuditFiles();
  const log = await AuditLog.open({ files, clock: new ManualClock(), crypto, log: silentLogger });
  const text = () => [...files.files.values()].map((bytes) => Buffer.from(bytes).toString()).join('');
  return { log, text };
}

function executorOf(type: string, execute: () => Promise<ExecutionResult>): Executor {
  return { type, execute };
}

function attemptOf(payload: unknown): AttemptContext {
  return { jobId: 'job_1', attempt: 2, fencingToken: 7, payload } as AttemptContext;
}

const DONE: ExecutionResult = { ok: true, result: { exitCode: 0, stdout: 'what it wrote' } };
const PAYLOAD = { command: 'psql', args: ['-c', 'argument'], env: { TOKEN: 'hidden' }, stdin: 'typed' };

describe('executions in the audit log', () => {
  it('are a start and an end, with a digest of the command and no values', async () => {
    const { log, text } = await openLog();
    const audited = auditedExecutor(
      executorOf('shell', async () => DONE),
      { audit: log, crypto, mode: 'commands' },
    );
    assert.deepEqual(await audited.execute(attemptOf(PAYLOAD)), DONE);
    const [start, end] = await log.tail({ limit: 10 });
    assert.deepEqual(
      [start?.kind, start?.['jobId'], start?.['attempt'], start?.['program'], start?.['variables']],
      ['execution.start', 'job_1', 2, 'psql', ['TOKEN']],
    );
    assert.deepEqual([end?.kind, end?.['ok'], end?.['exitCode']], ['execution.end', true, 0]);
    for (const hidden of ['hidden', 'argument', 'typed', 'what it wrote'])
      assert.ok(!text().includes(hidden), hidden);
  });

  it('have the same digest for the same command, whatever its variables are, and another for another', async () => {
    const { log } = await openLog();
    const audited = auditedExecutor(
      executorOf('shell', async () => DONE),
      { audit: log, crypto, mode: 'commands' },
    );
    for (const payload of [PAYLOAD, { ...PAYLOAD, env: {} }, { ...PAYLOAD, args: [] }])
      await audited.execute(attemptOf(payload));
    const digests = (await log.tail({ limit: 10 })).flatMap(({ digest }) => digest ?? []);
    assert.equal(digests[0], digests[1]);
    assert.notEqual(digests[0], digests[2]);
  });

  it('have an end also when the executor fails', async () => {
    const { log } = await openLog();
    const failing = executorOf('shell', () => Promise.reject(new TypeError('hidden')));
    const audited = auditedExecutor(failing, { audit: log, crypto, mode: 'commands' });
    await assert.rejects(audited.execute(attemptOf(PAYLOAD)), TypeError);
    const [, end] = await log.tail({ limit: 10 });
    assert.deepEqual([end?.['ok'], end?.['code']], [false, 'TypeError']);
  });

  it('of a type that touches nothing cost nothing, unless all is to be noted', async () => {
    const { log } = await openLog();
    const echo = executorOf('echo', async () => DONE);
    assert.equal(auditedExecutor(echo, { audit: log, crypto, mode: 'commands' }), echo);
    assert.equal(auditedExecutor(echo, { audit: undefined, crypto, mode: 'all' }), echo);
    assert.notEqual(auditedExecutor(echo, { audit: log, crypto, mode: 'all' }), echo);
  });
});

describe('administrative acts in the audit log', () => {
  const call = (handlers: Handlers, method: keyof Handlers, params: unknown) =>
    (handlers[method] as (params: unknown, connection: unknown) => Promise<unknown>)(params, undefined);

  it('are on disk before they are done, and their outcome follows', async () => {
    const { log, text } = await openLog();
    let before = '';
    const ticket = async () => {
      before = text();
      return { ticket: 'aspen1hidden', id: 'tkt_1', expiresAt: 1 };
    };
    const handlers = auditedHandlers({ 'mesh.ticket': ticket } as unknown as Handlers, () => log);
    await call(handlers, 'mesh.ticket', { role: 'worker', uses: 3 });
    assert.match(before, /"method":"mesh.ticket","role":"worker","uses":3/);
    const [, done] = await log.tail({ limit: 10 });
    assert.deepEqual([done?.kind, done?.['id']], ['act.done', 'tkt_1']);
    assert.ok(!text().includes('hidden'));
  });

  it('of secrets name the nodes and nothing that is sealed', async () => {
    const { log, text } = await openLog();
    const handlers = auditedHandlers({ 'secret.set': async () => ({}) } as unknown as Handlers, () => log);
    const grants = [{ peerId: 'ann', sealingKey: 'KEY', wrap: 'WRAP' }];
    await call(handlers, 'secret.set', { name: 'db', id: '1', box: 'BOX', grants });
    const [act] = await log.tail({ limit: 10 });
    assert.deepEqual([act?.['name'], act?.['grants']], ['db', ['ann']]);
    assert.ok(!/KEY|WRAP|BOX/.test(text()));
  });

  it('that are refused say so', async () => {
    const { log } = await openLog();
    const revoke = () => Promise.reject(new AspenError('NOT_FOUND', 'no member'));
    const handlers = auditedHandlers({ 'node.revoke': revoke } as unknown as Handlers, () => log);
    await assert.rejects(call(handlers, 'node.revoke', { peerId: 'x', reason: 'stolen' }), AspenError);
    const records = await log.tail({ limit: 10 });
    assert.deepEqual(
      records.map(({ kind, code }) => [kind, code]),
      [
        ['act', undefined],
        ['act.failed', 'NOT_FOUND'],
      ],
    );
  });
});
