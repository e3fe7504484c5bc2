import assert from 'node:assert/strict';
import type { PeerId } from '../../../src/base/index.ts';
import { understoodBy } from '../../../src/lease/version-keeper.ts';

const [ann, bob, cat] = ['ann', 'bob', 'cat'] as PeerId[] as [PeerId, PeerId, PeerId];
const member = (peerId: PeerId, understandsVersion: number) => ({ peerId, understandsVersion });

describe('the machine version that a group agrees on', () => {
  const cases = [
    { why: 'all understand it', members: [member(ann, 3), member(bob, 3), member(cat, 3)], version: 3 },
    {
      why: 'a voter understands less',
      members: [member(ann, 3), member(bob, 2), member(cat, 3)],
      version: 2,
    },
    {
      why: 'a standby understands less',
      members: [member(ann, 3), member(bob, 3), member(cat, 1)],
      version: 1,
    },
    { why: 'one of them has not said', members: [member(ann, 3), member(cat, 3)], version: 1 },
    { why: 'it is the founder alone', members: [member(ann, 3)], voters: [ann], learners: [], version: 3 },
    {
      why: 'a voter on its way out understands less',
      members: [member(ann, 3), member(cat, 1)],
      voters: [ann],
      outgoing: [ann, cat],
      learners: [],
      version: 1,
    },
  ];
  for (const { why, members, version, voters = [ann, bob], outgoing = [], learners = [cat] } of cases) {
    it(`is ${version} where ${why}`, () => {
      const configuration = { voters, outgoing, learners };
      assert.equal(understoodBy(configuration, [...members, member('spare' as PeerId, 1)]), version);
    });
  }
});
