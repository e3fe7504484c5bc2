import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { encodeFrame, PROTOCOL } from '../../../src/supervisor/frames.ts';
import {
  MemoryRunner,
  MemorySupervisor,
  type SupervisedRequest,
  type Supervisor,
  SupervisorGone,
} from '../../../src/supervisor/index.ts';
import { OsCensus } from '../../../src/supervisor/os-census.ts';
import { OsSupervisor } from '../../../src/supervisor/os-supervisor.ts';
import { SupervisorFiles, type SupervisorRecord } from '../../../src/supervisor/os-supervisor-files.ts';

const clock = new OsClock();

/** A machine whose agent comes and goes. */
interface Machine extends AsyncDisposable {
  /** A life of an agent; the one before is gone without a word. */
  agent(): Promise<Supervisor>;
  /** Kills the supervisor. */
  kill(): Promise<void>;
}

function memoryMachine(): Machine {
  const supervisor = new MemorySupervisor({ clock, runner: new MemoryRunner({ clock }) });
  return {
    agent: async () => supervisor.open(clock),
    kill: async () => supervisor.die('its supervisor was killed'),
    [Symbol.asyncDispose]: async () => supervisor.die('the test is over'),
  };
}

function osMachine(): Machine & { readonly directory: string; records(): SupervisorRecord[] } {
  const directory = mkdtempSync(join(tmpdir(), 'aspen-sup-'));
  const files = new SupervisorFiles(directory);
  const agents: OsSupervisor[] = [];
  const records = () => files.ids().flatMap((id) => files.readRecord(id) ?? []);
  const kill = async () => {
    for (const { pid } of records()) process.kill(pid, 'SIGKILL');
  };
  return {
    directory,
    records,
    agent: async () => {
      await agents.at(-1)?.close({ leaveRunning: true });
      const agent = new OsSupervisor({ clock, log: silentLogger }, { dataDirectory: directory });
      agents.push(agent);
      return agent;
    },
    kill,
    [Symbol.asyncDispose]: async () => {
      for (const agent of agents) await agent.close({ leaveRunning: false });
      for (const { pid } of records()) process.kill(pid, 'SIGTERM');
      await until(() => records().length === 0);
      rmSync(directory, { recursive: true });
    },
  };
}

async function until(isReached: () => boolean): Promise<void> {
  const untilMs = performance.now() + 20_000;
  while (!isReached()) {
    assert.ok(performance.now() < untilMs, 'it never came');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function requestOf(name: string, line: string, more: Partial<SupervisedRequest> = {}): SupervisedRequest {
  const [command = '', ...args] = line.split(' ');
  return {
    name,
    note: { of: name },
    outputKey: name,
    holdUntilMs: clock.monotonicMs() + 60_000,
    timeoutMs: null,
    graceMs: 200,
    maxOutputBytes: 1_000_000,
    captureStderr: true,
    command,
    args,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    shell: false,
    ...more,
  };
}

const MACHINES: [string, () => Machine][] = [
  ['os', osMachine],
  ['memory', memoryMachine],
];

for (const [name, create] of MACHINES) {
  describe(`supervisor: ${name}`, function () {
    this.timeout(40_000);
    let machine: Machine;

    beforeEach(() => {
      machine = create();
    });
    afterEach(() => machine[Symbol.asyncDispose]());

    it('runs attempts and tells how they ended', async () => {
      const agent = await machine.agent();
      assert.deepEqual(await agent.inherit(), { adopted: [], interrupted: [] });
      const processes = ['echo one', 'false', 'echo two'].map((line, at) =>
        agent.start(requestOf(`j${at}`, line)),
      );
      const ends = await Promise.all(processes.map(({ ended }) => ended));
      assert.deepEqual(
        ends.map(({ exit, output }) => [exit.exitCode, output.stdout]),
        [
          [0, 'one\n'],
          [1, ''],
          [0, 'two\n'],
        ],
      );
      const page = await processes[2]?.readOutput(0, 100);
      assert.equal(Buffer.from(page?.chunks[0]?.data ?? []).toString(), 'two\n');
    });

    it('stops an attempt that is asked to end, also before it has begun', async () => {
      const agent = await machine.agent();
      await agent.inherit();
      const early = agent.start(requestOf('early', 'sleep 60'));
      early.stop(0);
      assert.equal((await early.ended).endedBy, 'stop');
      const late = agent.start(requestOf('late', 'sleep 60'));
      const first = agent.start(requestOf('first', 'echo up'));
      await first.ended;
      late.stop(1_000);
      assert.equal((await late.ended).exit.signal, 'SIGTERM');
    });

    it('ends an attempt whose hold is not renewed, and goes on with one whose hold is', async () => {
      const agent = await machine.agent();
      await agent.inherit();
      await agent.start(requestOf('warm', 'true')).ended;
      const holdUntilMs = clock.monotonicMs() + 300;
      const left = agent.start(requestOf('left', 'sleep 60', { holdUntilMs }));
      const kept = agent.start(requestOf('kept', 'sleep 0.6', { holdUntilMs }));
      kept.renew(clock.monotonicMs() + 60_000);
      assert.deepEqual([(await left.ended).endedBy, (await kept.ended).endedBy], ['hold', 'itself']);
    });

    it('gives the next agent what runs and what ended untold, but not what was forgotten (V3, V4)', async () => {
      const before = await machine.agent();
      await before.inherit();
      const told = before.start(requestOf('told', 'true'));
      const untold = before.start(requestOf('untold', 'echo untold'));
      before.start(requestOf('running', 'sleep 60', { timeoutMs: 50_000 }));
      await Promise.all([told.ended, untold.ended]);
      told.forget();
      await new Promise((resolve) => setTimeout(resolve, 50));
      const { adopted, interrupted } = await (await machine.agent()).inherit();
      assert.deepEqual(interrupted, []);
      const byName = new Map(adopted.map((one) => [one.name, one]));
      assert.deepEqual([...byName.keys()].sort(), ['running', 'untold']);
      assert.equal((await byName.get('untold')?.process.ended)?.output.stdout, 'untold\n');
      const running = byName.get('running');
      assert.deepEqual(running?.note, { of: 'running' });
      assert.ok((running?.timeoutLeftMs ?? 0) > 40_000 && (running?.timeoutLeftMs ?? 0) <= 50_000);
      assert.ok((running?.holdUntilMs ?? 0) > clock.monotonicMs() + 40_000);
      running?.process.stop(100);
      assert.equal((await running?.process.ended)?.endedBy, 'stop');
    });

    it('tells at once when the supervisor is killed, and tells the next agent as well', async () => {
      const before = await machine.agent();
      await before.inherit();
      await before.start(requestOf('warm', 'true')).ended;
      const lost = before.start(requestOf('lost', 'sleep 60'));
      await before.start(requestOf('after', 'true')).ended;
      await machine.kill();
      await assert.rejects(lost.ended, SupervisorGone);
    });
  });
}

describe('supervisor: os alone', function () {
  this.timeout(40_000);
  let machine: ReturnType<typeof osMachine>;

  beforeEach(() => {
    machine = osMachine();
  });
  afterEach(() => machine[Symbol.asyncDispose]());

  const marked = (nonce: string) =>
    (new OsCensus().take() ?? []).filter(({ marks }) => marks.some((mark) => mark.startsWith(`${nonce}-`)));

  it('leaves nothing running of what a killed supervisor held, before anything is said of it', async () => {
    const agent = await machine.agent();
    await agent.inherit();
    const lost = agent.start(requestOf('lost', 'setsid --wait sleep 1000'));
    await agent.start(requestOf('after', 'true')).ended;
    const [record] = machine.records();
    assert.ok(record !== undefined && marked(record.nonce).length > 0);
    await machine.kill();
    await assert.rejects(lost.ended, SupervisorGone);
    assert.deepEqual(marked(record.nonce), []);
    const again = agent.start(requestOf('again', 'echo again'));
    assert.equal((await again.ended).output.stdout, 'again\n');
  });

  it('names what was interrupted when agent and supervisor were killed together, and ends it', async () => {
    const before = await machine.agent();
    await before.inherit();
    before.start(requestOf('job/1/7', 'sleep 1000'));
    await before.start(requestOf('after', 'true')).ended;
    const [record] = machine.records();
    assert.ok(record !== undefined);
    await before.close({ leaveRunning: true });
    await machine.kill();
    const { adopted, interrupted } = await (await machine.agent()).inherit();
    assert.deepEqual(
      [adopted, interrupted],
      [[], [{ name: 'job/1/7', reason: 'its supervisor was killed' }]],
    );
    assert.deepEqual(marked(record.nonce), []);
    assert.deepEqual(machine.records(), []);
  });

  it('kills a supervisor that does not answer, with all it held', async () => {
    const before = await machine.agent();
    await before.inherit();
    before.start(requestOf('job/1/8', 'sleep 1000'));
    await before.start(requestOf('after', 'true')).ended;
    await before.close({ leaveRunning: true });
    const [record] = machine.records();
    assert.ok(record !== undefined);
    process.kill(record.pid, 'SIGSTOP');
    const { interrupted } = await (await machine.agent()).inherit();
    assert.deepEqual(
      interrupted.map(({ name }) => name),
      ['job/1/8'],
    );
    assert.deepEqual(marked(record.nonce), []);
  });

  it('leaves a process alone that has the number of a supervisor of another life of the machine', async () => {
    const files = new SupervisorFiles(machine.directory);
    const record = { id: '00000000', protocol: 1, secret: 's', nonce: 'n'.repeat(32), pid: process.pid };
    const inode = files.inode;
    files.writeRecord({ ...record, startTicks: 1, bootId: 'another life', directoryInode: inode });
    assert.deepEqual(await (await machine.agent()).inherit(), { adopted: [], interrupted: [] });
    assert.deepEqual(readdirSync(join(machine.directory, 'supervisors')), []);
  });

  it('lets nobody in who does not know its secret', async () => {
    const agent = await machine.agent();
    await agent.inherit();
    await agent.start(requestOf('warm', 'true')).ended;
    const files = new SupervisorFiles(machine.directory);
    const [record] = machine.records();
    assert.ok(record !== undefined);
    files.writeRecord({ ...record, secret: 'guessed' });
    const { adopted } = await (await machine.agent()).inherit();
    assert.deepEqual(adopted, []);
  });

  it('goes on with what it holds whatever comes over its socket, before and after the secret', async () => {
    const agent = await machine.agent();
    await agent.inherit();
    const held = agent.start(requestOf('job/1/9', 'sleep 1000'));
    await agent.start(requestOf('warm', 'true')).ended;
    const [record] = machine.records();
    assert.ok(record !== undefined);
    const path = new SupervisorFiles(machine.directory).socketPath(record.id);
    const say = (bytes: Uint8Array) =>
      new Promise<void>((resolve) => {
        const socket = connect(path, () => socket.end(bytes));
        socket.on('error', () => undefined).on('close', () => resolve());
        socket.resume();
      });
    const frame = (text: string) => {
      const bytes = Buffer.from(text);
      return Buffer.concat([Buffer.from(new Uint32Array([bytes.length]).buffer).swap32(), bytes]);
    };
    const hello = encodeFrame({ type: 'hello', protocol: PROTOCOL, secret: record.secret });
    const bad = [
      'null',
      '[]',
      '{"type":"begin"}',
      '{"type":"begin","order":{}}',
      '{"type":"renew","holds":[1]}',
    ];
    const noise = [
      Buffer.alloc(0),
      Buffer.from([0, 0, 0]),
      Buffer.from([255, 255, 255, 255, 1]),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.concat([Buffer.from([0, 0, 0, 100]), Buffer.from('{"type"')]),
      ...bad.map(frame),
    ];
    for (const bytes of noise) await say(bytes);
    assert.equal(
      await Promise.race([held.ended, agent.start(requestOf('still', 'true')).ended.then(() => 'on')]),
      'on',
    );
    await agent.close({ leaveRunning: true });
    for (const bytes of noise) await say(Buffer.concat([hello, bytes]));
    const next = await machine.agent();
    const { adopted } = await next.inherit();
    assert.deepEqual(
      adopted.filter(({ name }) => name === 'job/1/9').map(({ name }) => name),
      ['job/1/9'],
    );
    for (const { process: one } of adopted) one.stop(0);
    await Promise.all(adopted.map(({ process: one }) => one.ended));
  });
});
