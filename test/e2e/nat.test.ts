import assert from 'node:assert/strict';
import { type Agent, type Ticket, type Translation, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';
import { linked, peerOf, runsOn, Town } from './harness/town.ts';

const settle = (...routers: readonly [Translation, Translation]) =>
  Town.settle([{ translation: routers[0] }, { translation: routers[1] }]);

/** Gives `to` one job after the other, each with one attempt. */
class Work {
  readonly #ids: string[] = [];
  readonly #from: Agent;
  readonly #working: Promise<void>;
  #isOver = false;

  constructor(from: Agent, to: Agent) {
    this.#from = from;
    this.#working = this.#work(to);
    this.#working.catch(() => undefined); // told by the end of it
  }

  /** @returns how they ended, as `state attempt`, each once. */
  async end(): Promise<string[]> {
    this.#isOver = true;
    await this.#working;
    const ends = await Promise.all(this.#ids.map((id) => this.#from.waitForJob(id)));
    return [...new Set(ends.map(({ state, attempt }) => `${state} ${attempt}`))];
  }

  async #work(to: Agent): Promise<void> {
    const affinity = { node: { peerId: to.peerId, mode: 'require' } };
    while (!this.#isOver) {
      const { id } = await this.#from.submit({ type: 'echo', affinity, retry: { maxAttempts: 1 } });
      this.#ids.push(id);
      await this.#from.waitForJob(id);
    }
  }
}

describe('two members behind two routers that let nobody in, and public members', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  let work: Work;
  reportFailures(() => town?.cluster);

  before(async () => {
    town = await settle('cone', 'cone');
    const [, , a, b] = town.agents;
    work = new Work(a, b);
  });
  after(() => town?.[Symbol.asyncDispose]());

  it('are linked, first over a public member or at once directly, and say which', async () => {
    const [, , a, b] = town.agents;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const { path, address } = await linked(from, to);
      assert.equal(path, address?.includes('/p2p-circuit') ? 'relay' : 'direct');
    }
  });

  it('run jobs on each other', async () => {
    const [, , a, b] = town.agents;
    await runsOn(a, b);
    await runsOn(b, a);
  });

  it('find a direct path through both routers, and go on without the public member that helped', async () => {
    const [p, , a, b] = town.agents;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      await until(async () => (await peerOf(from, to))?.path === 'direct', {
        what: `${from.name} to reach ${to.name} directly`,
      });
    assert.deepEqual(await work.end(), ['succeeded 1']);
    await p.kill9();
    await until(async () => (await a.status()).group.hasQuorum, { what: 'the others to go on' });
    await runsOn(a, b);
    assert.equal((await peerOf(a, b))?.path, 'direct');
  });
});

describe('two members, one of which is behind a router that uses another port for everybody it speaks to', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  reportFailures(() => town?.cluster);

  before(async () => {
    town = await settle('cone', 'symmetric');
  });
  after(() => town?.[Symbol.asyncDispose]());

  it('are linked, run jobs on each other, and say by which path', async () => {
    const [, , a, b] = town.agents;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await linked(from, to);
      await runsOn(from, to);
      const { path, address } = await linked(from, to);
      assert.equal(path, address?.includes('/p2p-circuit') ? 'relay' : 'direct');
    }
  });

  it('say the truth: when nothing passes between their homes they are linked over a public member, and say that', async () => {
    const [, , a, b] = town.agents;
    town.cutHomesApart();
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await until(async () => (await peerOf(from, to))?.path === 'relay', {
        what: `${from.name} to reach ${to.name} over a public member`,
      });
      await runsOn(from, to);
      assert.equal((await peerOf(from, to))?.path, 'relay');
    }
  });
});

describe('two members behind two routers that use another port for everybody they speak to', function () {
  this.timeout(STORY_CAP_MS);
  let town: Town;
  reportFailures(() => town?.cluster);

  before(async () => {
    town = await settle('symmetric', 'symmetric');
  });
  after(() => town?.[Symbol.asyncDispose]());

  it('are linked over a public member, say so, and run jobs on each other', async () => {
    const [, , a, b] = town.agents;
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const peer = await linked(from, to);
      assert.equal(peer.path, 'relay');
      assert.match(peer.address ?? '', /\/p2p-circuit$/);
      await runsOn(from, to);
    }
  });

  it('invite another one behind such a router, who joins through a public member and reaches them', async () => {
    const [p, , a, b] = town.agents;
    const place = town.internet.addHome('symmetric').netns;
    const newcomer = town.add('c', place);
    const { ticket } = await a.call<Ticket>('mesh.ticket', {});
    await newcomer.join(ticket);
    assert.equal((await newcomer.status()).meshId, (await p.status()).meshId);
    for (const other of [a, b]) assert.equal((await linked(newcomer, other)).path, 'relay');
    await runsOn(newcomer, b);
    await newcomer.stop();
  });

  it('move to the other public member when the one that carries them dies', async () => {
    const [p, q, a, b] = town.agents;
    const { address } = await linked(a, b);
    const [carrier, other] = address?.includes(`/p2p/${p.peerId}/`) ? [p, q] : [q, p];
    await until(
      async () => {
        const { connectivity } = (await a.status()) as unknown as {
          readonly connectivity: { readonly addresses: readonly string[] };
        };
        return connectivity.addresses.some((own) => own.includes(`/p2p/${other.peerId}/p2p-circuit`));
      },
      { what: 'a second relay to be kept' },
    );
    await carrier.kill9();
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      await until(async () => (await peerOf(from, to))?.address?.includes(`/p2p/${other.peerId}/`), {
        what: `${from.name} to reach ${to.name} over the other one`,
      });
    await until(async () => (await a.status()).group.hasQuorum, { what: 'the others to go on' });
    await runsOn(a, b);
    await runsOn(b, a);
  });
});
