import assert from 'node:assert/strict';
import { AspenError, type PeerId, type Term } from '../../../src/base/index.ts';
import {
  CHANGES_LIMIT,
  type ChangeFilter,
  type ChangesAnswer,
  serveChanges,
} from '../../../src/jobs/job-changes.ts';
import { ManualClock } from '../lease/manual-clock.ts';
import { FakeLeadership, ToldBench } from './fake-leadership.ts';

class World {
  readonly clock = new ManualClock();
  readonly bench = new ToldBench();
  leadership = new FakeLeadership(this.bench, this.clock);
  #changes = serveChanges(this.leadership, this.clock);

  /** Another node leads, with the same applied state. */
  changeLeader(): void {
    this.#changes[Symbol.dispose]();
    this.leadership.end();
    this.leadership = new FakeLeadership(this.bench, this.clock);
    Object.assign(this.leadership, { term: 2 as Term });
    this.#changes = serveChanges(this.leadership, this.clock);
  }

  async ask(cursor: string | null, filter: ChangeFilter = {}, waitMs = 0): Promise<ChangesAnswer> {
    const handler = this.leadership.handlers.get('jobs/watch');
    return (await handler?.({ from: 'ann' as PeerId, body: { filter, cursor, waitMs } })) as ChangesAnswer;
  }

  async seen(cursor: string, filter: ChangeFilter = {}): Promise<string[]> {
    return told(await this.ask(cursor, filter));
  }
}

function told({ changes }: ChangesAnswer): string[] {
  return changes.map(({ id, before, state }) => `${id} ${before ?? 'new'} ${state}`);
}

function isMissed(error: unknown): boolean {
  return error instanceof AspenError && error.code === 'RESOURCE_EXHAUSTED' && /missed/.test(error.message);
}

describe('whoever watches jobs', () => {
  it('is told of every change after the first question, in order, each once', async () => {
    const world = new World();
    world.bench.submit({ id: 'job_0' });
    const { changes, cursor } = await world.ask(null);
    assert.deepEqual(changes, []);
    world.bench.submit({ id: 'job_1' }, { id: 'job_2' });
    const first = await world.ask(cursor);
    assert.deepEqual(told(first), ['job_1 new queued', 'job_2 new queued']);
    const ref = world.bench.assign('job_1');
    world.bench.do('complete', { ...ref, result: 1 });
    assert.deepEqual(await world.seen(first.cursor), ['job_1 queued running', 'job_1 running succeeded']);
    assert.deepEqual(await world.seen(first.changes[0]?.cursor as string), [
      'job_2 new queued',
      'job_1 queued running',
      'job_1 running succeeded',
    ]);
  });

  it('is told of what fits the filter alone', async () => {
    const world = new World();
    const { cursor } = await world.ask(null);
    world.bench.submit(
      { id: 'job_1', queue: 'mail', labels: { team: 'a' } },
      { id: 'job_2', namespace: 'x', type: 'other' },
      { id: 'job_3', delayMs: 5 },
    );
    for (const [filter, ids] of [
      [{ queue: 'mail' }, ['job_1']],
      [{ namespace: 'x' }, ['job_2']],
      [{ type: 'other' }, ['job_2']],
      [{ label: 'team=a' }, ['job_1']],
      [{ label: 'team=b' }, []],
      [{ state: 'scheduled' }, ['job_3']],
      [{ state: ['queued', 'dead'] }, ['job_1', 'job_2']],
      [{ id: 'job_3' }, ['job_3']],
    ] as const) {
      const answer = await world.ask(cursor, filter as ChangeFilter);
      assert.deepEqual(
        answer.changes.map(({ id }) => id),
        ids,
      );
    }
  });

  it('is answered at the moment of a change, or when the time is over', async () => {
    const world = new World();
    const { cursor } = await world.ask(null);
    const answers: ChangesAnswer[] = [];
    const asking = world.ask(cursor, { queue: 'mail' }, 1_000).then((answer) => answers.push(answer));
    await world.clock.advance(10);
    world.bench.submit({ id: 'job_1' });
    await world.clock.advance(0);
    assert.equal(answers.length, 0);
    world.bench.submit({ id: 'job_2', queue: 'mail' });
    await asking;
    assert.deepEqual(told(answers[0] as ChangesAnswer), ['job_2 new queued']);
    const idle = world.ask(answers[0]?.cursor as string, {}, 1_000);
    await world.clock.advance(1_000);
    assert.deepEqual((await idle).changes, []);
  });

  it('that falls too far behind is told so, and memory stays bounded (N1, N2)', async () => {
    const world = new World();
    const { cursor } = await world.ask(null);
    for (let at = 0; at < 5; at += 1) {
      const jobs = Array.from({ length: CHANGES_LIMIT / 2 }, (_, place) => ({ id: `job_${at}_${place}` }));
      for (let from = 0; from < jobs.length; from += 5_000)
        world.bench.submit(...jobs.slice(from, from + 5_000));
    }
    await assert.rejects(world.ask(cursor), isMissed);
    assert.deepEqual((await world.ask(null)).changes, []);
  });

  it('goes on with the next leader when nothing changed in between, and is told when something did (N1)', async () => {
    const world = new World();
    const { cursor: start } = await world.ask(null);
    world.bench.submit({ id: 'job_1' });
    const { cursor } = await world.ask(start);
    world.changeLeader();
    const next = await world.ask(cursor);
    world.bench.submit({ id: 'job_2' });
    assert.deepEqual(await world.seen(next.cursor), ['job_2 new queued']);
    world.changeLeader();
    Object.assign(world.leadership, { term: 3 as Term });
    await assert.rejects(world.ask(next.cursor), isMissed);
  });

  it('that comes back after a long pause has missed what changed meanwhile, and nothing where nothing did (N1)', async () => {
    const world = new World();
    const { cursor } = await world.ask(null);
    await world.clock.advance(60_000);
    assert.deepEqual(await world.seen(cursor), []);
    await world.clock.advance(60_000);
    world.bench.submit({ id: 'job_1' });
    await assert.rejects(world.ask(cursor), isMissed);
  });

  it('is sent to the next leader when the leadership ends', async () => {
    const world = new World();
    const { cursor } = await world.ask(null);
    const asking = world.ask(cursor, {}, 2_000);
    const refused = assert.rejects(asking, { code: 'NOT_LEADER' });
    await world.clock.advance(0);
    world.leadership.end();
    await refused;
  });

  for (const cursor of ['', '1', 'a-b-c', '1-1', '1-1--2', '99999999999999999-1-1']) {
    it(`is refused the cursor "${cursor}", which nobody gave`, async () => {
      await assert.rejects(new World().ask(cursor), { code: 'INVALID_PARAMS' });
    });
  }
});
