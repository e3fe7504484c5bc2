import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPower } from '../../../src/agent/os-power.ts';
import { voterTraitsOf } from '../../../src/agent/voter-traits.ts';
import type { NodeProfile } from '../../../src/crdt/index.ts';
import { isPublicAddress } from '../../../src/mesh/index.ts';

type Supplies = Readonly<Record<string, Readonly<Record<string, string>>>>;

describe('what a machine runs on', () => {
  const cases: readonly (readonly [string, Supplies, 'mains' | 'battery' | null])[] = [
    ['nothing told: a server, or a container', {}, null],
    [
      'a laptop on its battery',
      { AC: { type: 'Mains', online: '0' }, BAT0: { type: 'Battery', status: 'Discharging' } },
      'battery',
    ],
    [
      'a laptop that is plugged in',
      { AC: { type: 'Mains', online: '1' }, BAT0: { type: 'Battery', status: 'Charging' } },
      'mains',
    ],
    [
      'a charger on USB',
      { ucsi: { type: 'USB', online: '1' }, BAT0: { type: 'Battery', status: 'Not charging' } },
      'mains',
    ],
    ['a full battery and no charger named', { BAT0: { type: 'Battery', status: 'Full' } }, 'mains'],
    ['a mouse', { mouse: { type: 'Battery', status: 'Discharging', scope: 'Device' } }, null],
    ['a battery that says nothing', { BAT0: { type: 'Battery' } }, null],
  ];
  for (const [what, supplies, power] of cases) {
    it(`${what}: ${power ?? 'not known'}`, () => {
      const directory = mkdtempSync(join(tmpdir(), 'aspen-power-'));
      try {
        for (const [name, files] of Object.entries(supplies)) {
          mkdirSync(join(directory, name));
          for (const [file, text] of Object.entries(files))
            writeFileSync(join(directory, name, file), `${text}\n`);
        }
        assert.equal(readPower(directory), power);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }

  it('is not known where the system has no such place', () => {
    assert.equal(readPower('/nonexistent/power_supply'), null);
  });
});

describe('what a node tells of itself as a voter', () => {
  const profile: NodeProfile = {
    name: 'n',
    labels: { zone: 'eu' },
    version: '1.0.0',
    role: 'voter',
    addresses: ['/ip4/10.0.0.1/tcp/1', '/ip4/93.184.216.34/tcp/1'],
    types: [],
    slots: 1,
    groupRole: 'spare',
    power: 'battery',
    startedAtMs: 1_000,
    startCount: 7,
  };

  it('is its zone, its power, its reach and how stable it is', () => {
    assert.deepEqual(voterTraitsOf(profile, 5_000), {
      zone: 'eu',
      isOnBattery: true,
      isPublic: true,
      upForMs: 4_000,
      startCount: 7,
    });
    assert.equal(voterTraitsOf(profile, 0).upForMs, 0, 'its clock is ahead');
    assert.deepEqual(voterTraitsOf(undefined, 0), { zone: null });
  });

  for (const [address, isPublic] of [
    ['/ip4/93.184.216.34/tcp/1', true],
    ['/ip4/10.1.2.3/tcp/1', false],
    ['/ip4/172.20.0.1/tcp/1', false],
    ['/ip4/100.64.0.1/tcp/1', false],
    ['/ip4/169.254.1.1/tcp/1', false],
    ['/ip4/127.0.0.1/tcp/1', false],
    ['/ip6/2a00:1450::1/tcp/1', true],
    ['/ip6/fd00::1/tcp/1', false],
    ['/ip6/::1/tcp/1', false],
    ['/dns4/node.example.org/tcp/1', true],
    ['/dns4/printer.local/tcp/1', false],
    ['nonsense', false],
  ] as const) {
    it(`${address} is ${isPublic ? '' : 'not '}reachable from anywhere`, () => {
      assert.equal(isPublicAddress(address), isPublic);
    });
  }
});
