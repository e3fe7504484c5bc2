import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canEverFit, explain, type NodeView, parseDemand, rank } from '../../../src/affinity/index.ts';
import type { PeerId } from '../../../src/base/index.ts';

const view = (labels: Record<string, string>): NodeView => ({
  peerId: 'a' as PeerId,
  role: 'worker',
  labels,
  types: ['shell'],
  freeSlots: 1,
  totalSlots: 1,
  isSuspect: false,
});

describe('a demand on a label', () => {
  const cases: readonly [text: string, value: string | undefined, isMet: boolean][] = [
    ['eu', 'eu', true],
    ['eu', 'us', false],
    ['eu', undefined, false],
    ['=eu', 'eu', true],
    ['=>=3', '>=3', true],
    ['!=eu', 'us', true],
    ['!=eu', 'eu', false],
    ['!=eu', undefined, true],
    ['>=32', '32', true],
    ['>=32', '31.9', false],
    ['>= 32', '64', true],
    ['>32', '32', false],
    ['<32', '9', true],
    ['<=32', '32', true],
    ['<=32', '100', false],
    ['>=-1', '-0.5', true],
    ['>=32', undefined, false],
    ['>=32', '32 GiB', false],
    ['>=32', '0x40', false],
    ['>=32', '', false],
    ['>=32', 'Infinity', false],
    ['in(eu, us)', 'us', true],
    ['in(eu,us)', 'asia', false],
    ['in(eu)', undefined, false],
    ['in', 'in', true],
  ];
  for (const [text, value, isMet] of cases) {
    it(`${text} is ${isMet ? 'met' : 'not met'} by ${value ?? 'no label'}`, () => {
      assert.equal(parseDemand(text).isMetBy(value), isMet);
    });
  }

  for (const text of ['>=', '>many', '<=3GiB', '>1e999', 'in()', 'in( )']) {
    it(`refuses ${text} by name`, () => {
      assert.throws(() => parseDemand(text), {
        code: 'INVALID_PARAMS',
        message: new RegExp(text.replace(/[()]/g, '\\$&')),
      });
    });
  }

  it('orders numbers as numbers do', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (value, bound) => {
        assert.equal(parseDemand(`>=${bound}`).isMetBy(`${value}`), value >= bound);
        assert.equal(parseDemand(`<${bound}`).isMetBy(`${value}`), value < bound);
        assert.equal(parseDemand(`>${bound}`).isMetBy(`${value}`), value > bound);
      }),
    );
  });

  it('rules nodes out, and says which number was missed', () => {
    const wanted = { type: 'shell', require: { memoryGiB: '>=32' } };
    assert.equal(canEverFit(wanted, [view({ memoryGiB: '64' })]), true);
    const reasons = (labels: Record<string, string>) => explain(wanted, [view(labels)])[0]?.reasons;
    assert.deepEqual(reasons({ memoryGiB: '16' }), ['label memoryGiB is 16, needs >=32']);
    assert.deepEqual(reasons({ memoryGiB: 'much' }), [
      'label memoryGiB is much, which is no number, needs >=32',
    ]);
    assert.deepEqual(reasons({}), ['has no label memoryGiB, needs >=32']);
  });

  it('avoids and prefers by comparison as well', () => {
    const avoiding = { type: 'shell', avoid: { cpus: '<4' } };
    assert.deepEqual(explain(avoiding, [view({ cpus: '2' })])[0]?.reasons, [
      'label cpus is 2, which is to be avoided',
    ]);
    assert.equal(canEverFit(avoiding, [view({ cpus: '8' })]), true);
    const [ranked] = rank({ type: 'shell', prefer: { cpus: '>=8' } }, [view({ cpus: '8' })], { seed: 0 });
    assert.equal(ranked?.reasons[0], 'label cpus is 8, as preferred');
  });

  it('is met by nobody where it cannot be read', () => {
    assert.equal(canEverFit({ type: 'shell', require: { cpus: '>=x' } }, [view({ cpus: '9' })]), false);
  });
});
