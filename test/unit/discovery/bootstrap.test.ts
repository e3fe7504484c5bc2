import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SeededRandom, silentLogger } from '../../../src/base/index.ts';
import {
  DEPTH_LIMIT,
  LOOKUPS_LIMIT,
  type NameLookup,
  PLACES_LIMIT,
  parseDnsaddrRecord,
  parseDnsName,
  parsePlace,
  RECORDS_LIMIT,
  resolveDnsName,
} from '../../../src/discovery/dnsaddr.ts';
import { BootstrapSource, type Candidate } from '../../../src/discovery/index.ts';
import { failureOf, identityOf, ManualClock } from '../mesh/support.ts';

const [ada, bob] = [identityOf(1).peerId, identityOf(2).peerId];
const at = (host: number, peerId = ada) => `/ip4/203.0.113.${host}/tcp/4100/p2p/${peerId}`;

/** Answers from a table, and notes what it was asked. */
class Names implements NameLookup {
  readonly asked: string[] = [];
  readonly records: Map<string, readonly string[]>;

  constructor(records: Readonly<Record<string, readonly string[]>>) {
    this.records = new Map(Object.entries(records));
  }

  async txt(name: string): Promise<readonly string[]> {
    this.asked.push(name);
    const found = this.records.get(name.slice('_dnsaddr.'.length));
    if (found === undefined) throw new Error(`no answer for ${name}`);
    return found;
  }
}

const resolve = (names: NameLookup, address: string) =>
  resolveDnsName(names, parseDnsName(address) ?? { name: 'none' }, new AbortController().signal);

describe('addresses in DNS', () => {
  it('are read where they are written well, and left out where not', () => {
    assert.deepEqual(parseDnsaddrRecord(`dnsaddr=${at(1)}`), {
      peerId: ada,
      address: '/ip4/203.0.113.1/tcp/4100',
    });
    assert.deepEqual(parseDnsaddrRecord('dnsaddr=/dnsaddr/eu.example.org'), { name: 'eu.example.org' });
    assert.deepEqual(
      parsePlace(`/dns4/a.example.org/tcp/4100/p2p/${bob}`)?.address,
      '/dns4/a.example.org/tcp/4100',
    );
    const none = [
      'v=spf1 -all',
      'dnsaddr=',
      'dnsaddr=/ip4/203.0.113.1/tcp/4100',
      `dnsaddr=${at(1)}x`,
      `dnsaddr=/ip4/1.1.1.1/tcp/1/p2p/${bob}/p2p-circuit/p2p/${ada}`,
      `dnsaddr=/dnsaddr/a..b/p2p/${ada}`,
      `dnsaddr=/dnsaddr/${'a.'.repeat(150)}org`,
      `dnsaddr=/ip4/1.1.1.1/${'tcp/'.repeat(80)}p2p/${ada}`,
    ];
    for (const record of none) assert.equal(parseDnsaddrRecord(record), undefined, record);
  });

  it('I1 whatever a record says, it is read or left out', () => {
    const text = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.string({ maxLength: 80 }).map((tail) => `dnsaddr=/dnsaddr/${tail}`),
      fc.string({ maxLength: 80 }).map((head) => `dnsaddr=/${head}/p2p/${ada}`),
    );
    fc.assert(
      fc.property(text, (record) => {
        const read = parseDnsaddrRecord(record);
        assert.ok(read === undefined || ('name' in read ? read.name.length <= 200 : read.peerId === ada));
      }),
    );
  });

  it('of names within names are found, for one member or all', async () => {
    const names = new Names({
      'example.org': ['dnsaddr=/dnsaddr/eu.example.org', `dnsaddr=${at(1)}`, 'other text'],
      'eu.example.org': [`dnsaddr=${at(2)}`, `dnsaddr=${at(3, bob)}`],
    });
    assert.deepEqual(
      (await resolve(names, '/dnsaddr/example.org')).map(({ address }) => address.split('/')[2]).toSorted(),
      ['203.0.113.1', '203.0.113.2', '203.0.113.3'],
    );
    const ofBob = await resolve(names, `/dnsaddr/example.org/p2p/${bob}`);
    assert.deepEqual(ofBob, [{ peerId: bob, address: '/ip4/203.0.113.3/tcp/4100' }]);
  });

  it('I1 names that lead in circles, or on and on, end', async () => {
    const circle = new Names({ a: ['dnsaddr=/dnsaddr/b'], b: ['dnsaddr=/dnsaddr/a', `dnsaddr=${at(1)}`] });
    assert.equal((await resolve(circle, '/dnsaddr/a')).length, 1);
    assert.deepEqual(circle.asked, ['_dnsaddr.a', '_dnsaddr.b']);
    const chain = new Names(
      Object.fromEntries(
        Array.from({ length: 9 }, (_, depth) => [`n${depth}`, [`dnsaddr=/dnsaddr/n${depth + 1}`]]),
      ),
    );
    await resolve(chain, '/dnsaddr/n0');
    assert.equal(chain.asked.length, DEPTH_LIMIT);
    const wide = new Names({ w: Array.from({ length: 30 }, (_, at) => `dnsaddr=/dnsaddr/w${at}`) });
    await resolve(wide, '/dnsaddr/w');
    assert.equal(wide.asked.length, LOOKUPS_LIMIT);
  });

  it('I1 many records are cut off', async () => {
    const many = Array.from({ length: 200 }, (_, host) => `dnsaddr=${at(host)}`);
    const names = new Names({ a: many, b: many });
    assert.equal((await resolve(names, '/dnsaddr/a')).length, RECORDS_LIMIT);
    assert.ok(RECORDS_LIMIT <= PLACES_LIMIT);
  });

  it('the first name must answer, others may be silent', async () => {
    const names = new Names({ a: ['dnsaddr=/dnsaddr/gone', `dnsaddr=${at(1)}`] });
    assert.equal((await resolve(names, '/dnsaddr/a')).length, 1);
    assert.match(String(await failureOf(resolve(names, '/dnsaddr/gone'))), /no answer/);
  });
});

describe('the places that the owner names', () => {
  const sourceOf = (names: NameLookup, addresses: readonly string[], links = { count: 0 }) => {
    const clock = new ManualClock();
    const random = new SeededRandom(1);
    const source = new BootstrapSource(
      { clock, random, log: silentLogger, lookup: names, linkCount: () => links.count },
      { addresses, self: bob },
    );
    const told: Candidate[] = [];
    source.onCandidate((candidate) => told.push(candidate));
    return { clock, source, told, links };
  };

  it('are told at the start, all addresses of a member together, and one is not told of itself', async () => {
    const names = new Names({ 'example.org': [1, 2].map((host) => `dnsaddr=${at(host)}`) });
    const { clock, source, told } = sourceOf(names, ['/dnsaddr/example.org', at(9, bob)]);
    await source.start();
    await clock.advance(0);
    await source.stop();
    assert.deepEqual(told, [
      {
        peerId: ada,
        addresses: ['/ip4/203.0.113.1/tcp/4100', '/ip4/203.0.113.2/tcp/4100'],
        source: 'bootstrap',
      },
    ]);
  });

  it('are asked for again while nobody is linked, ever more rarely, and not while somebody is', async () => {
    const names = new Names({});
    const { clock, source, links } = sourceOf(names, ['/dnsaddr/example.org']);
    await source.start();
    await clock.advance(3_600_000);
    const whileAlone = names.asked.length;
    assert.ok(whileAlone > 8 && whileAlone < 25, `${whileAlone} lookups in an hour`);
    assert.match(source.problem() ?? '', /\/dnsaddr\/example\.org was not resolved: .*no answer/);
    links.count = 1;
    await clock.advance(700_000);
    assert.equal(source.problem(), undefined);
    const before = names.asked.length;
    await clock.advance(3_600_000);
    assert.equal(names.asked.length, before);
    links.count = 0;
    await clock.advance(60_000);
    assert.ok(names.asked.length > before);
    await source.stop();
  });

  it('a name server that never answers does not hold anything up', async () => {
    const silent: NameLookup = { txt: () => new Promise(() => undefined) };
    const { clock, source, told } = sourceOf(silent, ['/dnsaddr/example.org', at(1)]);
    await source.start();
    await clock.advance(20_000);
    assert.match(source.problem() ?? '', /took longer than 10000 ms/);
    assert.ok(told.length >= 1);
    await source.stop();
  });
});
