import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, type LogIndex, type Term } from '../../../src/base/index.ts';
import { KvFeed } from '../../../src/lease/kv-feed.ts';
import {
  createKvModule,
  encodeBatch,
  type Fact,
  type HistoryAnswer,
  type HistoryLimits,
  Machine,
} from '../../../src/lease/machine/index.ts';
import { MemoryStore, WriteBuffer } from '../../../src/storage/index.ts';
import { type CommandSpec, command } from './machine/support.ts';
import { ManualClock } from './manual-clock.ts';

/** One replica's applied state, and the feed on it. */
class Ground {
  readonly clock = new ManualClock();
  readonly machine: Machine;
  readonly feed: KvFeed;
  #listener: (facts: readonly Fact[]) => void = () => undefined;

  constructor(limits?: HistoryLimits) {
    const store = new WriteBuffer(new MemoryStore());
    this.machine = new Machine({ store, space: 't0/', modules: [createKvModule(limits)] });
    const source = {
      read: (module: string) => this.machine.read(module),
      onFacts: (callback: (facts: readonly Fact[]) => void) => {
        this.#listener = callback;
        return { [Symbol.dispose]: () => undefined };
      },
    };
    this.feed = new KvFeed(source, this.clock);
  }

  /** @param isTold false: as a snapshot would bring it. */
  apply(specs: readonly CommandSpec[], isTold = true): void {
    const times = { epoch: 1, version: 1, groupMs: 0, wallMs: 0 };
    const payload = encodeBatch({ ...times, commands: specs.map(command) });
    const index = (this.machine.appliedIndex + 1) as LogIndex;
    const { facts } = this.machine.applyEntry({ term: 1 as Term, index, kind: 'command', payload });
    if (isTold) this.#listener(facts);
  }

  ask(place: Pick<HistoryAnswer, 'sequence' | 'revision'> | undefined, filter = { prefix: '' }, waitMs = 0) {
    const from = { fromRevision: (place?.revision ?? 0) + 1, sequence: place?.sequence ?? null };
    return this.feed.changes({ filter, ...from, waitMs });
  }
}

const put = (key: string): CommandSpec => ({ module: 'kv', kind: 'put', body: { key, value: key } });
const codeOf = (error: unknown) => (error instanceof AspenError ? error.code : error);

describe('the feed of changed keys', () => {
  it('tells each watcher, however it asks, all changes of its keys once and in order', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.array(fc.constantFrom('a', 'a/1', 'b'), { minLength: 1, maxLength: 4 }) },
      fc.record({ watcher: fc.nat({ max: 2 }) }),
      fc.record({ untold: fc.constantFrom('a', 'b') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const ground = new Ground();
        const written: string[] = [];
        const filters = [{ prefix: '' }, { prefix: 'a' }, { prefix: 'b' }];
        const told: string[][] = filters.map(() => []);
        const places: (HistoryAnswer | undefined)[] = [];
        const ask = async (at: number) => {
          const answer = await ground.ask(places[at], filters[at]);
          places[at] = answer;
          told[at]?.push(...answer.events.map(({ key }) => key));
        };
        for (const each of steps) {
          if (Array.isArray(each)) {
            ground.apply(each.map(put));
            written.push(...each);
          } else if ('untold' in each) {
            ground.apply([put(each.untold)], false);
            written.push(each.untold);
          } else await ask(each.watcher);
        }
        for (const [at, { prefix }] of filters.entries()) {
          await ask(at);
          assert.deepEqual(
            told[at],
            written.filter((key) => key.startsWith(prefix)),
          );
        }
      }),
      { numRuns: 100 },
    );
  });

  it('answers who waits when one of its keys changes, and not for another', async () => {
    const ground = new Ground();
    const start = await ground.ask(undefined);
    const answers: HistoryAnswer[] = [];
    void Promise.resolve(ground.ask(start, { prefix: 'a' }, 2_000)).then((each) => {
      answers.push(each);
    });
    ground.apply([put('b'), put('b/2')]);
    await ground.clock.advance(100);
    assert.equal(answers.length, 0);
    ground.apply([put('b/3'), put('a')]);
    await ground.clock.advance(100);
    const [answer] = answers as [HistoryAnswer];
    assert.deepEqual(
      answer.events.map(({ key }) => key),
      ['a'],
    );
    assert.equal(answer.revision, ground.machine.position);
  });

  it('answers who waited in vain with how far it has come', async () => {
    const ground = new Ground();
    const start = await ground.ask(undefined);
    const asked = Promise.resolve(ground.ask(start, { prefix: 'a' }, 2_000));
    ground.apply([put('b')]);
    await ground.clock.advance(2_000);
    const { events, revision, isAtEnd } = await asked;
    assert.deepEqual([events, revision, isAtEnd], [[], ground.machine.position, true]);
  });

  it('refuses a watcher that has fallen behind what is kept, and names the oldest revision', async () => {
    const ground = new Ground({ eventsLimit: 100, bytesLimit: 2 ** 20 });
    ground.apply([put('a')]);
    const slow = await ground.ask(undefined);
    for (let at = 0; at < 300; at += 1) ground.apply([put('a')]);
    const refused = await Promise.resolve()
      .then(() => ground.ask(slow))
      .catch((error: unknown) => error);
    assert.equal(codeOf(refused), 'COMPACTED');
    const oldest = (refused as AspenError).details['oldestRevision'] as number;
    const { events } = await ground.ask({ revision: oldest - 1, sequence: null as never });
    assert.equal(events[0]?.revision, oldest);
    assert.ok(events.length >= 99);
  });

  it('goes on with a watcher who was told more by others than this replica had then, although it has dropped what was between', async () => {
    const ground = new Ground({ eventsLimit: 100, bytesLimit: 2 ** 20 });
    ground.apply([put('a')]);
    const ahead = { revision: ground.machine.position + 50, sequence: null as never };
    const before = await ground.ask(ahead);
    assert.deepEqual([before.events, before.revision], [[], ahead.revision]);
    for (let at = 0; at < 140; at += 1) ground.apply([put('a')]);
    const { events } = await ground.ask(before);
    assert.equal(events[0]?.revision, ahead.revision + 1);
    assert.equal(events.length, 90);
  });

  it('ends an answer before it grows too long for one frame', async () => {
    const ground = new Ground();
    const value = 'x'.repeat(2 ** 20);
    for (let at = 0; at < 4; at += 1) {
      ground.apply([{ module: 'kv', kind: 'put', body: { key: 'a', value } }]);
    }
    const first = await ground.ask(undefined);
    assert.equal(first.events.length, 1);
    assert.equal(first.isAtEnd, false);
    assert.equal((await ground.ask(first)).events[0]?.version, 2);
  });
});
