import assert from 'node:assert/strict';
import { AspenError, type LogIndex, type PeerId, type Term } from '../../../src/base/index.ts';
import type { LeaderHint } from '../../../src/lease/leader-finder.ts';
import { LeaderTries } from '../../../src/lease/leader-tries.ts';
import type { Messenger, RequestOptions } from '../../../src/mesh/index.ts';

/** A peer that answers when the test says so. */
function ground() {
  let known: Pick<LeaderHint, 'leader' | 'term'> = { leader: 'a' as PeerId, term: 1 as Term };
  const answers: ((answer: unknown) => void)[] = [];
  const request = (_to: PeerId, _method: string, _body: unknown, { signal }: RequestOptions) =>
    new Promise((resolve, reject) => {
      answers.push(resolve);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  const finder = { tell: () => ({ ...known, commitIndex: 0 as LogIndex, voters: [], standbys: [] }) };
  const tries = new LeaderTries({ messenger: { request } as unknown as Messenger, finder });
  return {
    tries,
    answers,
    ask: (leader: string, signal?: AbortSignal) =>
      tries.request(leader as PeerId, 'm', null, { timeoutMs: 1_000, signal }),
    leads: (leader: string | null, term: number) => {
      known = { leader: leader as PeerId | null, term: term as Term };
      tries.giveUpReplaced();
    },
  };
}

describe('questions to a leader', () => {
  it('are given up, outcome unknown, when another leads a later term', async () => {
    const { ask, leads } = ground();
    const both = Promise.allSettled([ask('a'), ask('a')]);
    leads('b', 2);
    for (const { reason } of (await both) as PromiseRejectedResult[]) {
      assert.ok(reason instanceof AspenError);
      assert.deepEqual([reason.code, reason.outcome], ['UNAVAILABLE', 'unknown']);
    }
  });

  it('wait on while nobody leads, while the same leads on, and while another is named without a later term', async () => {
    const { ask, leads, answers } = ground();
    const asked = ask('a');
    leads(null, 2);
    leads('b', 1);
    leads('a', 3);
    answers[0]?.('answer');
    assert.equal(await asked, 'answer');
  });

  it('to the new leader are not given up with those to the old one', async () => {
    const { ask, leads, answers } = ground();
    const old = ask('a').catch((error: AspenError) => error.code);
    leads('b', 2);
    const asked = ask('b');
    leads('b', 2);
    answers[1]?.('answer');
    assert.deepEqual([await old, await asked], ['UNAVAILABLE', 'answer']);
  });

  it('end with the reason of their caller', async () => {
    const { ask } = ground();
    const caller = new AbortController();
    const asked = ask('a', caller.signal);
    caller.abort(new Error('enough'));
    await assert.rejects(asked, /enough/);
  });
});
