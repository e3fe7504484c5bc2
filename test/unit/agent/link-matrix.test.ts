import assert from 'node:assert/strict';
import { type MatrixInput, matrixOf } from '../../../src/agent/link-matrix.ts';
import type { PeerId } from '../../../src/base/index.ts';
import { markOfPeer } from '../../../src/crdt/index.ts';

describe('the matrix of links', () => {
  const peer = (name: string) => `12D3KooW${name.padStart(44, 'x')}` as PeerId;
  const node = (name: string, reaches: readonly string[] | undefined): MatrixInput => ({
    peerId: peer(name),
    name,
    isAlive: true,
    row: reaches && {
      links: reaches.map((to) => ({ mark: markOfPeer(peer(to)), path: 'direct', rttMs: 1 })),
      linkCount: reaches.length,
      toldAtMs: 5_000,
    },
  });
  const pairs = (input: readonly MatrixInput[]) =>
    matrixOf(input).links.map(({ from, to, isMutual }) => [from.slice(-1), to.slice(-1), isMutual]);

  it('has a link for each that a node tells, marked where the other end does not tell it', () => {
    assert.deepEqual(pairs([node('a', ['b', 'c']), node('b', ['a']), node('c', [])]), [
      ['a', 'b', true],
      ['a', 'c', false],
      ['b', 'a', true],
    ]);
  });

  it('says of a node that has told nothing just that', () => {
    const { nodes, links } = matrixOf([node('a', undefined)]);
    assert.deepEqual(links, []);
    assert.deepEqual(
      nodes.map(({ toldAt, linkCount }) => [toldAt, linkCount]),
      [[null, null]],
    );
  });

  it('names nobody who is no member, whatever a node tells', () => {
    assert.deepEqual(pairs([node('a', ['stranger', 'a', 'b']), node('b', [])]), [['a', 'b', false]]);
  });
});
