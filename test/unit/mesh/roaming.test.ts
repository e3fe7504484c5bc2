import assert from 'node:assert/strict';
import { silentLogger } from '../../../src/base/index.ts';
import { AddressRest } from '../../../src/mesh/address-rest.ts';
import type { Mesh } from '../../../src/mesh/index.ts';
import { Roaming } from '../../../src/mesh/roaming.ts';
import { judgeLooks, STOOD_STILL_MS } from '../../../src/mesh/wake-rules.ts';
import { contactOf, Village } from './nodes.ts';
import { identityOf, ManualClock } from './support.ts';

const EVERY_MS = 500;
/** Networks are looked at less often than clocks. */
const NETWORKS_EVERY_MS = 2 * EVERY_MS;

/** A clock whose machine can be stopped or put to sleep. */
class SleepyClock extends ManualClock {
  stoppedMs = 0;
  sleptMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.stoppedMs;
  }

  override wallMs(): number {
    return super.wallMs() + this.stoppedMs + this.sleptMs;
  }
}

class Machine {
  readonly clock = new SleepyClock();
  readonly done: string[] = [];
  network = 'eth0 10.0.0.1';
  readonly roaming: Roaming;

  constructor() {
    const note = (what: string) => () => void this.done.push(what);
    this.roaming = new Roaming({
      transport: { verify: note('links are asked'), links: () => [] },
      connector: { anew: note('peers are tried') },
      reach: { anew: note('relays are linked') },
      sources: [{ refresh: note('sources look again') }, {}],
      networkMark: () => this.network,
      clock: this.clock,
      log: silentLogger,
    });
    this.roaming.onUpheaval(note('others are told'));
  }
}

const ALL = [
  'links are asked',
  'peers are tried',
  'relays are linked',
  'sources look again',
  'others are told',
];

describe('what a node makes of two looks at its machine', () => {
  const before = { monotonicMs: 1_000, wallMs: 50_000, networkMark: 'a' };
  const looked = (monotonicMs: number, wallMs: number, networkMark = 'a') => ({
    monotonicMs: before.monotonicMs + monotonicMs,
    wallMs: before.wallMs + wallMs,
    networkMark,
  });
  const cases = [
    ['nothing', looked(500, 500), undefined],
    ['a busy moment', looked(500 + STOOD_STILL_MS - 1, 500 + STOOD_STILL_MS - 1), undefined],
    ['a process that was stopped', looked(60_500, 60_500), { type: 'woke', stoodStillMs: 60_000 }],
    ['a machine that slept', looked(500, 60_500), { type: 'woke', stoodStillMs: 60_000 }],
    ['a wall clock set back', looked(500, -60_000), undefined],
    [
      'a stop while the wall clock was set back',
      looked(60_500, -60_000),
      { type: 'woke', stoodStillMs: 60_000 },
    ],
    ['another network', looked(500, 500, 'b'), { type: 'network' }],
    ['a sleep in another network', looked(500, 60_500, 'b'), { type: 'woke', stoodStillMs: 60_000 }],
  ] as const;
  for (const [what, now, expected] of cases) {
    it(`Z6 ${what}: ${expected?.type ?? 'as before'}`, () => {
      assert.deepEqual(judgeLooks(before, now, EVERY_MS), expected);
    });
  }
});

describe('roaming', () => {
  it('leaves everything alone while nothing happens', async () => {
    const machine = new Machine();
    await machine.roaming.start();
    await machine.clock.advance(60_000);
    assert.deepEqual([machine.done, machine.roaming.latest], [[], undefined]);
    await machine.roaming.stop();
  });

  for (const how of ['stoppedMs', 'sleptMs'] as const) {
    it(`Z3, Z4 begins anew at the first look after it stood still: ${how}`, async () => {
      const machine = new Machine();
      await machine.roaming.start();
      await machine.clock.advance(1_000);
      machine.clock[how] += 60_000;
      await machine.clock.advance(EVERY_MS);
      assert.deepEqual(machine.done, ALL);
      assert.equal(machine.roaming.latest?.upheaval.type, 'woke');
      await machine.clock.advance(60_000);
      assert.equal(machine.done.length, ALL.length);
      await machine.roaming.stop();
    });
  }

  it('Z3, Z4 begins anew with each change of the network, and no more after it stopped', async () => {
    const machine = new Machine();
    await machine.roaming.start();
    machine.network = '';
    await machine.clock.advance(NETWORKS_EVERY_MS);
    machine.network = 'eth0 10.0.0.2';
    await machine.clock.advance(NETWORKS_EVERY_MS);
    assert.deepEqual(machine.done, [...ALL, ...ALL]);
    await machine.roaming.stop();
    machine.network = '';
    await machine.clock.advance(60_000);
    assert.equal(machine.done.length, 2 * ALL.length);
  });
});

describe('a connector that begins anew', () => {
  let village: Village;
  beforeEach(() => {
    village = new Village();
  });
  afterEach(() => village[Symbol.asyncDispose]());

  it('Z4 tries at once whom it had tried in vain for an hour', async () => {
    const [ada, bob] = [identityOf(1), identityOf(2)];
    const contacts = [{ peerId: bob.peerId, addresses: ['/memory/later'] }];
    const left = await village.node(ada, { contacts });
    await village.clock.advance(3_600_000);
    const right: Mesh = await village.node(bob, { address: '/memory/later' });
    left.connector.anew();
    const tookMs = await village.until(() => right.transport.isLinked(ada.peerId), 'they are linked');
    assert.ok(tookMs < 500, `${tookMs} ms`);
  });

  it('Z4 yields to nobody: the one that moved knows best that it can be reached no more', async () => {
    const people = [identityOf(1), identityOf(2)].toSorted((a, b) => (a.peerId < b.peerId ? 1 : -1));
    const [larger, smaller] = people as [(typeof people)[0], (typeof people)[0]];
    const left = await village.node(smaller);
    const right = await village.node(larger, { contacts: [contactOf(left)] });
    await village.until(() => right.transport.isLinked(smaller.peerId), 'they are linked');
    right.connector.anew();
    right.transport.hangUp(smaller.peerId, 'dead');
    left.connector.book.forget(larger.peerId); // cannot dial back
    const tookMs = await village.until(() => right.transport.isLinked(smaller.peerId), 'linked again');
    assert.ok(tookMs < 400, `${tookMs} ms`);
  });

  it('Z4 lets no address rest any more', () => {
    const rest = new AddressRest(new ManualClock());
    rest.failed('bob', '/a');
    rest.clear();
    assert.equal(rest.isResting('bob', '/a'), false);
  });
});
