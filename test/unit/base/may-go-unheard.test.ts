import assert from 'node:assert/strict';
import { mayGoUnheard } from '../../../src/base/index.ts';

describe('a promise that may go unheard', () => {
  it('is rejected for whoever waits, and no unhandled rejection where nobody does', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.prependListener('unhandledRejection', note);
    try {
      mayGoUnheard(Promise.reject(new Error('nobody waits')));
      const waited = mayGoUnheard(Promise.reject(new Error('somebody waits')));
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(unhandled, []);
      await assert.rejects(waited, /somebody waits/);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
});
