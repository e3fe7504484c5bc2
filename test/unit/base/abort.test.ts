import assert from 'node:assert/strict';
import { unlessAborted } from '../../../src/base/index.ts';

const reason = new Error('enough');
const never = () => new Promise<never>(() => undefined);

describe('work that is waited for unless a signal aborts', () => {
  it('gives what the work gives, with and without a signal', async () => {
    assert.equal(await unlessAborted(Promise.resolve(1), undefined), 1);
    assert.equal(await unlessAborted(Promise.resolve(2), new AbortController().signal), 2);
  });

  it('fails as the work fails', async () => {
    const work = Promise.reject(new Error('its own'));
    await assert.rejects(unlessAborted(work, new AbortController().signal), /its own/);
  });

  it('is waited for no longer than until the signal aborts', async () => {
    const abort = new AbortController();
    const waiting = unlessAborted(never(), abort.signal);
    abort.abort(reason);
    await assert.rejects(waiting, reason);
  });

  it('is not waited for when the signal has aborted before', async () => {
    await assert.rejects(unlessAborted(never(), AbortSignal.abort(reason)), reason);
  });

  it('may fail after that, which is nobody’s', async () => {
    const abort = new AbortController();
    const work = Promise.withResolvers<never>();
    const waiting = unlessAborted(work.promise, abort.signal);
    abort.abort(reason);
    await assert.rejects(waiting, reason);
    work.reject(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
  });
});
