import assert from 'node:assert/strict';
import type { LogIndex, PeerId } from '../../../src/base/index.ts';
import { nextSuccessor } from '../../../src/lease/hand-over-rules.ts';
import type { RaftState } from '../../../src/lease/raft/index.ts';

const peers = (text: string) => text.split(' ').filter(Boolean) as PeerId[];
const [a, b, c] = peers('a b c') as [PeerId, PeerId, PeerId];

/** `b` has the longest log after the leader `a`. */
function stateOf(voters: string): RaftState {
  const progress = new Map(
    peers(voters).map((peer, at) => [peer, { matchIndex: (100 - at) as LogIndex, isRecentlyActive: true }]),
  );
  const configuration = { voters: peers(voters), outgoing: [], learners: [], learnersNext: [] };
  return { configuration, progress } as unknown as RaftState;
}

function next(
  voters: string,
  linked: string,
  wish: { readonly to?: PeerId; readonly chosen?: PeerId } = {},
): PeerId | undefined {
  const there = new Set(peers(linked));
  const { to, chosen } = wish;
  return nextSuccessor({
    state: stateOf(voters),
    self: a,
    to,
    chosen,
    isLinked: (peer) => there.has(peer),
  });
}

describe('a leader that hands over (G5)', () => {
  it('takes the voter whose log is longest, of those that are linked', () => {
    assert.equal(next('a b c', 'b c'), b);
    assert.equal(next('a b c', 'c'), c);
  });

  it('takes whom it was told', () => {
    assert.equal(next('a b c', 'b c', { to: c }), c);
  });

  it('stays with its choice while that is linked, and takes the next with the end of the link', () => {
    assert.equal(next('a b c', 'b c', { chosen: c }), c);
    assert.equal(next('a b c', 'b', { chosen: c }), b);
  });

  it('waits for nobody where those that are left can elect nobody', () => {
    assert.equal(next('a b c', ''), undefined);
    assert.equal(next('a b c d e', 'b'), undefined);
    assert.equal(next('a b c', '', { to: b, chosen: b }), undefined);
  });

  it('has nobody to hand over to where it votes alone', () => {
    assert.equal(next('a', 'b'), undefined);
  });
});
