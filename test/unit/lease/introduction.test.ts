import assert from 'node:assert/strict';
import { AspenError, type LogIndex, type PeerId, silentLogger, type Term } from '../../../src/base/index.ts';
import { FIRST_EPOCH } from '../../../src/lease/epoch.ts';
import { Introducer } from '../../../src/lease/introduction.ts';
import { ManualClock } from './manual-clock.ts';

const [self, ann, bob] = ['self', 'ann', 'bob'] as PeerId[] as [PeerId, PeerId, PeerId];
const NOTHING = { [Symbol.dispose]: () => undefined };

/** A node with links to ann and bob, who answer as the test wants. */
function linked({ voters, answer }: { voters: readonly PeerId[]; answer: (peer: PeerId) => unknown }) {
  const clock = new ManualClock();
  const asked: { readonly peer: PeerId; readonly atMs: number }[] = [];
  let onPeer: (event: { readonly peerId: PeerId; readonly type: 'opened' | 'closed' }) => void = () =>
    undefined;
  const introducer = new Introducer(
    {
      self,
      clock,
      log: silentLogger,
      mayVote: (peer) => voters.includes(peer),
      messenger: {
        connected: () => [ann, bob],
        onPeer: (callback) => {
          onPeer = callback;
          return NOTHING;
        },
        request: async (peer: PeerId) => {
          asked.push({ peer, atMs: clock.monotonicMs() });
          return answer(peer);
        },
      },
      configuration: () => ({ voters: [ann, bob], outgoing: [], learners: [] }),
      claim: () => ({
        owner: { incarnation: 'a', bootCount: 1 },
        position: { epoch: FIRST_EPOCH, term: 1 as Term, index: 1 as LogIndex },
        incarnation: 'a',
      }),
      onObjection: (fault) => assert.fail(fault),
      onFailure: (error) => assert.fail(String(error)),
    },
    'main',
  );
  return { clock, asked, introducer, onPeer: (event: Parameters<typeof onPeer>[0]) => onPeer(event) };
}

const agree = () => ({ objection: null });
const refuse = () => {
  throw new AspenError('DENIED', 'self may not vote');
};

describe('a node that introduces itself', () => {
  it('W9 asks nobody while it may not vote itself: a worker was refused six times a second', async () => {
    const { clock, asked, introducer, onPeer } = linked({ voters: [ann, bob], answer: refuse });
    introducer.start();
    introducer.takePart();
    onPeer({ peerId: ann, type: 'opened' });
    await clock.advance(60_000);
    assert.deepEqual(asked, []);
    await introducer.stop();
  });

  it('W9 asks again ever more rarely who refuses it, and at once on a new link', async () => {
    const { clock, asked, introducer, onPeer } = linked({ voters: [self, ann, bob], answer: refuse });
    introducer.start();
    introducer.takePart();
    await clock.advance(120_000);
    const times = asked.filter(({ peer }) => peer === ann).map(({ atMs }) => atMs);
    assert.ok(times.length >= 5 && times.length <= 12, `${times}`);
    const before = asked.length;
    onPeer({ peerId: ann, type: 'opened' });
    await clock.advance(10);
    assert.deepEqual(
      asked.slice(before).map(({ peer }) => peer),
      [ann],
    );
    await introducer.stop();
  });

  it('asks again at once who did not answer, and nobody who has agreed', async () => {
    const silent = new AspenError('UNAVAILABLE', 'the link has ended', { outcome: 'unknown' });
    let isSilent = true;
    const { clock, asked, introducer } = linked({
      voters: [self, ann, bob],
      answer: (peer) => {
        if (peer === ann && isSilent) throw silent;
        return agree();
      },
    });
    introducer.start();
    introducer.takePart();
    await clock.advance(10_000);
    isSilent = false;
    assert.ok(asked.filter(({ peer }) => peer === ann).length >= 19);
    assert.equal(asked.filter(({ peer }) => peer === bob).length, 1);
    const before = asked.length;
    await clock.advance(60_000);
    assert.equal(asked.length, before + 1);
    await introducer.stop();
  });
});
