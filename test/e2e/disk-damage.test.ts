import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Agent, agreement, Cluster, leaderAndFollowers, until, Writer } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const PAGE_BYTES = 4_096;

describe('damage to a disk', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  reportFailures(() => cluster);
  beforeEach(() => {
    cluster = new Cluster();
  });
  afterEach(() => cluster[Symbol.asyncDispose]());

  it('of one voter is noticed at its start: it comes back as a learner, then votes, and has everything', async () => {
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const { leader, followers } = await leaderAndFollowers(agents);
    const [victim, other] = followers as [Agent, Agent];
    const writer = new Writer(leader, 'damage/');
    try {
      await writer.more(100);
      const { peerId } = victim;
      await victim.stop();
      assert.ok(flipBytes(join(victim.dataDir, 'store'), 5) > 0);
      await victim.up();
      assert.equal(victim.peerId, peerId, 'it is who it was');
      const [name] = readdirSync(join(victim.dataDir, 'quarantine'));
      assert.match(String(name), /^20\d\d-.*Z-[a-z]/);
      assert.match(
        readFileSync(join(victim.dataDir, 'quarantine', String(name), 'reason.txt'), 'utf8'),
        /damaged|match/,
      );
      await writer.more(50);
      await until(() => !existsSync(join(victim.dataDir, 'disk-loss')), { what: 'the loss to be settled' });
      await until(async () => (await victim.status()).group.role === 'voter', {
        what: 'it to vote again',
        timeoutMs: 60_000,
      });
      await agreement(agents);
    } finally {
      await writer.stop();
    }
    for (const agent of [victim, other, leader]) assert.deepEqual(await writer.missingAt(agent), []);
    await leader.kill9();
    await until(
      async () =>
        (await victim.status()).group.hasQuorum && (await other.status()).group.leader !== leader.peerId,
      {
        what: 'another leader',
      },
    );
    assert.deepEqual(await writer.missingAt(victim), [], 'with the damaged one as half of the majority');
    await leader.up();
    await agreement(agents);
    await victim.stop();
    await victim.up();
    await agreement(agents, 'a whole store is kept');
    assert.equal(readdirSync(join(victim.dataDir, 'quarantine')).length, 1);
  });

  it('of one voter while it runs is noticed at the next read: it ends, and comes back with everything', async () => {
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const { leader, followers } = await leaderAndFollowers(agents);
    const [victim] = followers as [Agent, Agent];
    const value = 'a value that is nowhere else';
    await leader.call('kv.put', { key: 'k', value });
    const read = () => victim.call<{ value: string } | null>('kv.get', { key: 'k', consistency: 'stale' });
    await until(async () => (await read())?.value === value, { what: 'it to have the value' });
    const damagedThenRead = () => {
      damageText(join(victim.dataDir, 'store'), value);
      return read().then(
        () => false,
        () => true,
      );
    };
    await until(damagedThenRead, { what: 'a read to meet the damage: tables reach the disk a moment later' });
    assert.notEqual(await victim.ended(), 0);
    assert.match(victim.logTail(), /does not match its checksum/);
    assert.match(victim.logTail(), /start the agent again: it sets the store aside/);
    await victim.up();
    assert.equal(readdirSync(join(victim.dataDir, 'quarantine')).length, 1);
    await until(async () => (await victim.status()).group.role === 'voter', {
      what: 'it to vote again',
      timeoutMs: 60_000,
    });
    await agreement(agents);
    assert.equal((await read())?.value, value);
  });

  it('of what its journal held when it was killed is noticed at its start', async () => {
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const { leader, followers } = await leaderAndFollowers(agents);
    const [victim] = followers as [Agent, Agent];
    const writer = new Writer(leader, 'journal/');
    try {
      await writer.more(100);
      await victim.kill9();
      assert.ok(flipJournal(victim.dataDir), 'what was written last lies in the journal');
      await victim.up();
      assert.equal(readdirSync(join(victim.dataDir, 'quarantine')).length, 1);
      await until(async () => (await victim.status()).group.role === 'voter', {
        what: 'it to vote again',
        timeoutMs: 60_000,
      });
    } finally {
      await writer.stop();
    }
    await agreement(agents);
    assert.deepEqual(await writer.missingAt(victim), []);
  });

  it('of the only copy ends the agent with a way out, at every start, and what was there is kept', async () => {
    const [alone] = (await cluster.mesh(['a'])) as [Agent];
    await alone.call('kv.put', { key: 'k', value: 'v' });
    await until(() => existsSync(join(alone.dataDir, 'copies')), { what: 'the copies to be noted' });
    await alone.stop();
    // So small a store has leaf pages at its end that are free again: only damage to all is sure to meet one in use.
    assert.ok(flipBytes(join(alone.dataDir, 'store'), Number.MAX_SAFE_INTEGER) > 0);
    for (let start = 0; start < 2; start += 1) {
      const ran = await alone.cli(['up', '--foreground']);
      assert.notEqual(ran.code, 0);
      for (const way of [/only copy/, /quarantine/, /restore FILE/, /group recover/])
        assert.match(ran.stderr, way);
    }
    assert.equal(readdirSync(join(alone.dataDir, 'quarantine')).length, 1);
    assert.ok(!existsSync(join(alone.dataDir, 'store')));
  });

  it('that took the whole store away is treated as damage, not as a beginning', async () => {
    const agents = await cluster.mesh(['a', 'b', 'c']);
    const { leader, followers } = await leaderAndFollowers(agents);
    const [victim] = followers as [Agent];
    await leader.call('kv.put', { key: 'k', value: 'v' });
    await victim.stop();
    for (const name of ['store', 'store-lock']) rmSync(join(victim.dataDir, name), { force: true });
    await victim.up();
    await until(
      async () =>
        !existsSync(join(victim.dataDir, 'disk-loss')) && (await victim.status()).group.role === 'voter',
      {
        what: 'it to vote again',
        timeoutMs: 60_000,
      },
    );
    await agreement(agents);
    const value = await victim.call<{ value: string } | null>('kv.get', { key: 'k', consistency: 'stale' });
    assert.equal(value?.value, 'v');
  });
});

/** Changes the first letter of a text wherever it stands in a file. */
function damageText(path: string, text: string): void {
  const bytes = readFileSync(path);
  const file = openSync(path, 'r+');
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) {
    writeSync(file, Buffer.from([bytes.readUInt8(at) ^ 0x20]), 0, 1, at);
  }
  closeSync(file);
}

/** Changes a byte in the middle of what the journal of a killed agent holds. @returns whether it holds anything. */
function flipJournal(dataDir: string): boolean {
  for (const name of ['store-journal-0', 'store-journal-1']) {
    const bytes = readFileSync(join(dataDir, name));
    const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
    if (end === 0) continue;
    const file = openSync(join(dataDir, name), 'r+');
    writeSync(file, Buffer.from([bytes.readUInt8(end >> 1) ^ 0x41]), 0, 1, end >> 1);
    closeSync(file);
    return true;
  }
  return false;
}

/** Changes one byte in each of `count` pages that the engine uses, in a closed store. @returns how many. */
function flipBytes(path: string, count: number): number {
  const file = openSync(path, 'r+');
  const pages = Math.floor(statSync(path).size / PAGE_BYTES);
  const page = Buffer.alloc(PAGE_BYTES);
  let done = 0;
  for (let number = pages - 1; number > 1 && done < count; number -= 1) {
    readSync(file, page, 0, PAGE_BYTES, number * PAGE_BYTES);
    const isLeaf = page.readUInt16LE(18) === 2;
    if (!isLeaf) continue;
    const at = page.readUInt16LE(24) + 24 + 10;
    writeSync(file, Buffer.from([page.readUInt8(at) ^ 0x41]), 0, 1, number * PAGE_BYTES + at);
    done += 1;
  }
  return done;
}
