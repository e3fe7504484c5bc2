import assert from 'node:assert/strict';
import { CHECK_WITHIN_MS, type Finding, runChecks, worstOf } from '../../../src/agent/doctor.ts';
import { ManualClock } from '../mesh/support.ts';

describe('doctor', () => {
  const fine: Finding = { name: 'a.b', status: 'ok', detail: 'as it should be', mend: null };

  it('tells what every check finds, in the order of the checks', async () => {
    const bad: Finding = { name: 'z', status: 'warn', detail: 'slow', mend: 'a faster disk' };
    const findings = await runChecks(new ManualClock(), [
      { name: 'z', run: async () => [bad] },
      { name: 'a', run: async () => [fine, { ...fine, name: 'a.c' }] },
    ]);
    assert.deepEqual(
      findings.map(({ name }) => name),
      ['z', 'a.b', 'a.c'],
    );
  });

  it('tells of a check that fails as a finding of its own, beside the others', async () => {
    const findings = await runChecks(new ManualClock(), [
      { name: 'broken', run: () => Promise.reject(new Error('no such file')) },
      { name: 'a', run: async () => [fine] },
    ]);
    assert.deepEqual(findings, [
      { name: 'broken', status: 'fail', detail: 'could not be looked at: no such file', mend: null },
      fine,
    ]);
  });

  it('does not wait for a check that hangs', async () => {
    const clock = new ManualClock();
    const looking = runChecks(clock, [{ name: 'stuck', run: () => new Promise(() => undefined) }]);
    await clock.advance(CHECK_WITHIN_MS);
    assert.deepEqual(
      (await looking).map(({ name, status }) => [name, status]),
      [['stuck', 'fail']],
    );
  });

  it('is as bad as its worst finding', () => {
    assert.equal(worstOf([]), 'ok');
    assert.equal(worstOf([{ ...fine, status: 'warn' }, fine]), 'warn');
    assert.equal(
      worstOf([
        { ...fine, status: 'warn' },
        { ...fine, status: 'fail' },
      ]),
      'fail',
    );
  });
});
