import assert from 'node:assert/strict';
import {
  judgeClocks,
  judgeFiles,
  judgeMemory,
  judgeMulticast,
  judgePorts,
  judgeSpace,
  judgeStore,
  judgeSyncs,
  judgeVersions,
} from '../../../src/agent/checks/check-rules.ts';
import type { Finding } from '../../../src/agent/doctor.ts';

const MIB = 2 ** 20;
const storeOf = (fileMib: number, freeMib: number) => ({
  ...{ fileBytes: fileMib * MIB, usedBytes: (fileMib - freeMib) * MIB, freeBytes: freeMib * MIB },
});
const clocks = (...aheads: number[]) => aheads.map((aheadMs, at) => ({ name: `n${at}`, aheadMs, rttMs: 10 }));

describe('what doctor finds', () => {
  const rows: readonly (readonly [string, Finding, Finding['status'], RegExp])[] = [
    ['clocks that agree', judgeClocks(clocks(0, 1, -3)), 'ok', /in step with most of 3/],
    ['nobody to compare with', judgeClocks([]), 'ok', /unknown/],
    [
      'the own clock behind all others',
      judgeClocks(clocks(2_000, 2_001, 1_999)),
      'warn',
      /this clock is 1999 ms behind most of 3/,
    ],
    ['one other clock ahead', judgeClocks(clocks(0, 1, 3_000)), 'warn', /the clock of n2 is 3000 ms ahead/],
    ['a clock that the registry refuses', judgeClocks(clocks(0, 120_000)), 'fail', /120 s ahead/],
    [
      'a difference that the way may explain',
      judgeClocks([{ name: 'far', aheadMs: 900, rttMs: 1_000 }]),
      'ok',
      /./,
    ],
    [
      'one version',
      judgeVersions('1.0.0', [{ name: 'a', version: '1.0.0' }]),
      'ok',
      /all that live run 1\.0\.0/,
    ],
    [
      'two versions',
      judgeVersions('1.0.0', [
        { name: 'a', version: '1.0.0' },
        { name: 'b', version: '1.1.0' },
      ]),
      'warn',
      /1\.0\.0 on a; 1\.1\.0 on b/,
    ],
    [
      'a fast disk',
      judgeSyncs(Array.from({ length: 50 }, () => 0.2)),
      'ok',
      /50 synced writes: p50 0\.20 ms/,
    ],
    ['a slow disk', judgeSyncs([40, 45, 60]), 'warn', /p50 45\.00/],
    [
      'a disk that stalls now and then',
      judgeSyncs([...Array.from({ length: 49 }, () => 1), 900]),
      'warn',
      /p99 900/,
    ],
    ['a disk that nobody could vote from', judgeSyncs([700, 800, 900]), 'fail', /./],
    ['room', judgeSpace({ freeBytes: 5_000 * MIB, totalBytes: 9_000 * MIB }), 'ok', /4\.9 of 8\.8 GiB free/],
    ['a store in use', judgeStore(storeOf(900, 300)), 'ok', /300\.0 of 900\.0 MiB of the store are free/],
    ['a small store that is free', judgeStore(storeOf(100, 99)), 'ok', /./],
    ['a store that is mostly free', judgeStore(storeOf(900, 600)), 'warn', /600\.0 of 900\.0 MiB/],
    ['little room', judgeSpace({ freeBytes: 500 * MIB, totalBytes: 9_000 * MIB }), 'warn', /./],
    [
      'no room',
      judgeSpace({ freeBytes: 5 * MIB, totalBytes: 9_000 * MIB }),
      'fail',
      /5\.0 of 9000\.0 MiB free/,
    ],
    ['memory', judgeMemory({ freeBytes: 900 * MIB, totalBytes: 2_000 * MIB }), 'ok', /900 of 2000 MiB/],
    ['no memory', judgeMemory({ freeBytes: 20 * MIB, totalBytes: 2_000 * MIB }), 'fail', /./],
    ['files enough', judgeFiles({ open: 60, soft: 20_000 }), 'ok', /60 of 20000/],
    ['a low limit of files', judgeFiles({ open: 60, soft: 1_024 }), 'warn', /./],
    ['files all open', judgeFiles({ open: 1_020, soft: 1_024 }), 'fail', /./],
    ['no limit to tell', judgeFiles({ open: null, soft: null }), 'ok', /unknown/],
    ['multicast', judgeMulticast(undefined), 'ok', /./],
    [
      'no multicast route',
      judgeMulticast('no route: mDNS can find nobody (mend it with: ip route add 224.0.0.0/4 dev eth0)'),
      'warn',
      /^no route: mDNS can find nobody$/,
    ],
    ['a port', judgePorts(['/ip4/0.0.0.0/tcp/0'], ['/ip4/10.0.0.1/tcp/4100']), 'ok', /10\.0\.0\.1/],
    ['no port', judgePorts(['/ip4/0.0.0.0/tcp/4100'], []), 'fail', /listens on none/],
    ['a node that dials only', judgePorts([], []), 'ok', /listens nowhere, as it was told/],
  ];
  for (const [what, finding, status, says] of rows) {
    it(`is ${status} for ${what}, with a mend unless it is`, () => {
      assert.equal(finding.status, status, finding.detail);
      assert.match(finding.detail, says);
      assert.equal(finding.mend === null, status === 'ok');
    });
  }

  it('takes the mend of multicast from what is wrong with it', () => {
    const { mend } = judgeMulticast('no route (mend it with: ip route add 224.0.0.0/4 dev eth0)');
    assert.equal(mend, 'ip route add 224.0.0.0/4 dev eth0');
  });
});
