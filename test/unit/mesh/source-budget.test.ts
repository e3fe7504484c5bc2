import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SourceBudget, sourceOf } from '../../../src/mesh/source-budget.ts';

describe('the budget of sources', () => {
  it('F1 leaves room for others while one source floods', () => {
    const budget = new SourceBudget({ perSourceLimit: 3, totalLimit: 5 });
    const flood = Array.from({ length: 100 }, () => budget.take('10.0.0.1'));
    assert.equal(flood.filter((giveBack) => giveBack !== undefined).length, 3);
    assert.ok(budget.take('10.0.0.2') !== undefined);
    assert.equal(budget.refusedCount, 97);
  });

  it('counts what is taken, however often a place is given back', () => {
    const source = fc.constantFrom('a', 'b', 'c');
    const action = fc.oneof(
      source.map((of) => ({ type: 'take' as const, of })),
      fc.nat(50).map((at) => ({ type: 'give' as const, at })),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const budget = new SourceBudget({ perSourceLimit: 4, totalLimit: 9 });
        const places: { readonly of: string; isHeld: boolean; readonly giveBack: () => void }[] = [];
        const held = (of?: string) =>
          places.filter((place) => place.isHeld && (of ?? place.of) === place.of).length;
        for (const one of actions) {
          if (one.type === 'take') {
            const mayHave = held(one.of) < 4 && held() < 9;
            const giveBack = budget.take(one.of);
            assert.equal(giveBack !== undefined, mayHave);
            if (giveBack !== undefined) places.push({ of: one.of, isHeld: true, giveBack });
          } else {
            const place = places[one.at % Math.max(1, places.length)];
            place?.giveBack();
            if (place !== undefined) place.isHeld = false;
          }
          assert.equal(budget.total, held());
        }
      }),
    );
  });

  const sources: readonly (readonly [address: string, source: string, why: string])[] = [
    ['/ip4/192.0.2.7/tcp/40001', '192.0.2.7', 'whatever port'],
    ['/ip6/2001:db8:1:2:3:4:5:6/tcp/1', '2001:db8:1:2::/64', 'a customer has the whole /64'],
    ['/ip6/2001:db8:1:2::9/tcp/1', '2001:db8:1:2::/64', 'written short'],
    ['/ip6/2001:0db8:0001:0002::9/tcp/1', '2001:db8:1:2::/64', 'written long'],
    ['/ip6/::1/tcp/1', '0:0:0:0::/64', 'loopback'],
    ['/ip6/::ffff:192.0.2.7/tcp/1', '192.0.2.7', 'IPv4 on an IPv6 socket'],
    ['/ip6/fe80::1%eth0/tcp/1', 'fe80:0:0:0::/64', 'with a zone'],
    ['/memory/a', 'other', 'no address at all'],
    ['', 'other', 'nothing'],
  ];
  for (const [address, source, why] of sources) {
    it(`takes ${address || 'nothing'} for ${source}: ${why}`, () => assert.equal(sourceOf(address), source));
  }

  it('makes of any text a source, and never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => assert.equal(typeof sourceOf(`/ip6/${text}`), 'string')));
  });
});
