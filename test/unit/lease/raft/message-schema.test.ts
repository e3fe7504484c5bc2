import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseMessage } from '../../../../src/lease/raft/index.ts';
import { command, voters } from './kit.ts';

const envelope = { from: 'a', to: 'b', term: 3 };
const configurationEntry = {
  index: 3,
  term: 3,
  kind: 'configuration',
  payload: new Uint8Array(),
  configuration: voters('a', 'b'),
};

const GOOD = [
  { type: 'preVote', ...envelope, lastIndex: 4, lastTerm: 2, isTransfer: false },
  { type: 'vote', ...envelope, lastIndex: 0, lastTerm: 0, isTransfer: true },
  { type: 'preVoteReply', ...envelope, isGranted: true },
  { type: 'voteReply', ...envelope, isGranted: false },
  {
    type: 'append',
    ...envelope,
    previousIndex: 1,
    previousTerm: 1,
    entries: [command(2, 2), configurationEntry],
    commitIndex: 9,
  },
  { type: 'appendAccepted', ...envelope, matchIndex: 7 },
  { type: 'appendRejected', ...envelope, rejectedIndex: 7, hintIndex: 5, hintTerm: 2 },
  { type: 'heartbeat', ...envelope, commitIndex: 2, round: 1 },
  { type: 'heartbeatReply', ...envelope, round: 1 },
  { type: 'timeoutNow', ...envelope },
];

const BAD: readonly (readonly [string, unknown])[] = [
  ['nothing', undefined],
  ['a list', []],
  ['an unknown type', { ...envelope, type: 'snapshot' }],
  ['a type from the prototype', { ...envelope, type: 'toString' }],
  ['term 0', { ...GOOD[9], term: 0 }],
  ['a fraction', { ...GOOD[5], matchIndex: 1.5 }],
  ['a negative index', { ...GOOD[5], matchIndex: -1 }],
  ['more than a safe integer', { ...GOOD[5], matchIndex: 2 ** 53 }],
  ['a log newer than the candidate', { ...GOOD[0], lastTerm: 4 }],
  ['an empty sender', { ...GOOD[9], from: '' }],
  ['entries with a hole', { ...GOOD[4], entries: [command(2, 2), command(4, 2)] }],
  ['entries that do not follow', { ...GOOD[4], entries: [command(3, 2)] }],
  ['terms that fall', { ...GOOD[4], previousTerm: 3 }],
  ['an entry newer than its message', { ...GOOD[4], entries: [command(2, 4)] }],
  ['a payload that is text', { ...GOOD[4], entries: [{ ...command(2, 2), payload: 'x' }] }],
  ['a configuration without voters', withConfiguration({ ...voters(), learners: ['a'] })],
  ['a voter named twice', withConfiguration(voters('a', 'a'))],
  ['a voter that is a learner too', withConfiguration({ ...voters('a'), learners: ['a'] })],
  ['a configuration entry without one', withConfiguration(undefined)],
];

function withConfiguration(configuration: unknown): unknown {
  return { ...GOOD[4], entries: [command(2, 2), { ...configurationEntry, configuration }] };
}

describe('raft: messages of foreign peers', () => {
  for (const message of GOOD) {
    it(`${message.type} passes as it is`, () => assert.deepEqual(parseMessage(message), message));
  }

  for (const [what, message] of BAD) {
    it(`${what} is refused`, () => assert.equal(parseMessage(message), undefined));
  }

  it('what is not asked for does not pass', () => {
    assert.deepEqual(parseMessage({ ...GOOD[9], more: 1 }), GOOD[9]);
  });

  it('garbage never throws', () => {
    fc.assert(fc.property(fc.anything(), (value) => void parseMessage(value)));
  });

  it('a good message with one field spoilt never throws, and passes only in shape', () => {
    const spoilt = fc
      .record({ message: fc.constantFrom(...GOOD), at: fc.nat(), value: fc.anything() })
      .map(({ message, at, value }) => {
        const keys = Object.keys(message);
        return { ...message, [keys[at % keys.length] as string]: value };
      });
    fc.assert(
      fc.property(spoilt, (message) => {
        const parsed = parseMessage(message);
        if (parsed !== undefined) assert.deepEqual(parseMessage(parsed), parsed);
      }),
      { numRuns: 500 },
    );
  });
});
