import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { isOwnNetworkFault } from '../../../src/workers/own-network.ts';

const systemError = (code: string) => Object.assign(new Error(`connect ${code}`), { code });
const told = (cause: unknown) => new AspenError('UNAVAILABLE', 'example.org: no answer', { cause });
/** As the system tells of several addresses: by the code of the first. */
const ofSeveral = (...codes: readonly string[]) =>
  Object.assign(new AggregateError(codes.map(systemError)), { code: codes[0] });

describe('a request that failed', () => {
  const cases: readonly (readonly [string, unknown, boolean])[] = [
    ['no way to the network', told(systemError('ENETUNREACH')), true],
    ['nobody answers for names', told(systemError('EAI_AGAIN')), true],
    ['no more files may be opened', told(systemError('EMFILE')), true],
    ['no way to any of its addresses', told(ofSeveral('ENETUNREACH', 'EADDRNOTAVAIL')), true],
    [
      'no way to one of its addresses, the other refused',
      told(ofSeveral('ENETUNREACH', 'ECONNREFUSED')),
      false,
    ],
    ['refused', told(systemError('ECONNREFUSED')), false],
    ['no such name', told(systemError('ENOTFOUND')), false],
    ['no such machine in a network that is there', told(systemError('EHOSTUNREACH')), false],
    ['cut off half way', told(systemError('ECONNRESET')), false],
    ['no answer in time', new AspenError('DEADLINE_EXCEEDED', 'too slow'), false],
    ['not allowed by the owner', new AspenError('DENIED', 'not allowed'), false],
    ['something else', 'ENETUNREACH', false],
  ];
  for (const [what, error, isOwn] of cases)
    it(`because of ${what} is ${isOwn ? "the node's" : "the receiver's"} fault`, () => {
      assert.equal(isOwnNetworkFault(error), isOwn);
    });
});
