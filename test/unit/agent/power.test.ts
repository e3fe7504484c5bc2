import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgePower } from '../../../src/agent/checks/check-rules.ts';
import { readPower } from '../../../src/agent/os-power.ts';
import {
  machinePowerOf,
  type Power,
  type PowerSupply,
  thriftOf,
  UNKNOWN_POWER,
} from '../../../src/agent/power.ts';
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
        assert.equal(readPower(directory).source, power);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }

  it('tells what is left, of several batteries their mean, and nothing that is no number', () => {
    const battery = (capacityPercent: number | null, scope: string | null = null): PowerSupply => ({
      ...{ type: 'Battery', status: 'Discharging', isOnline: false },
      ...{ scope, capacityPercent },
    });
    const chargeOf = (...supplies: readonly PowerSupply[]) => machinePowerOf(supplies).chargePercent;
    assert.equal(chargeOf(battery(80), battery(41), battery(3, 'Device')), 61);
    assert.equal(chargeOf(battery(null)), null);
    const directory = mkdtempSync(join(tmpdir(), 'aspen-power-'));
    try {
      for (const [name, capacity] of [
        ['BAT0', '57'],
        ['BAT1', 'much'],
      ] as const) {
        mkdirSync(join(directory, name));
        const files = { type: 'Battery', status: 'Discharging', capacity };
        for (const [file, text] of Object.entries(files))
          writeFileSync(join(directory, name, file), `${text}\n`);
      }
      assert.deepEqual(readPower(directory), { source: 'battery', chargePercent: 57 });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('Z8 has links spared at both ends: on a battery, and more where little is left', () => {
    const on = (source: Power | null, chargePercent: number | null = null) => ({ source, chargePercent });
    assert.equal(thriftOf(on('mains'), 'mains'), 'none');
    assert.equal(thriftOf(on(null), undefined), 'none');
    assert.equal(thriftOf(on('mains', 10), 'battery'), 'saving');
    assert.equal(thriftOf(on('battery', 20), 'mains'), 'saving');
    assert.equal(thriftOf(on('battery'), undefined), 'saving');
    assert.equal(thriftOf(on('battery', 19), 'mains'), 'scarce');
  });

  it('is told by doctor, with what follows from it', () => {
    assert.match(judgePower({ source: 'battery', chargePercent: 57 }).detail, /^on battery, 57 % left: /);
    assert.match(judgePower({ source: 'battery', chargePercent: null }).detail, /^on battery: /);
    assert.equal(judgePower({ source: 'mains', chargePercent: 57 }).detail, 'on mains');
    assert.match(judgePower(UNKNOWN_POWER).detail, /^unknown/);
  });

  it('is not known where the system has no such place', () => {
    assert.deepEqual(readPower('/nonexistent/power_supply'), UNKNOWN_POWER);
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

  it('is not called public for a circuit over a member that is: it is lost with that one', () => {
    const own = '/ip4/10.1.2.3/tcp/1';
    const circuit =
      '/ip4/93.184.216.34/tcp/1/p2p/12D3KooWQZw4gZhVv7pTnmi6NFc2Yvvm6KzrZukqqLYEnXvbF6bu/p2p-circuit';
    assert.equal(voterTraitsOf({ ...profile, addresses: [own, circuit] }, 0).isPublic, false);
    assert.equal(
      voterTraitsOf({ ...profile, addresses: [circuit, '/ip4/93.184.216.34/tcp/1'] }, 0).isPublic,
      true,
    );
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
