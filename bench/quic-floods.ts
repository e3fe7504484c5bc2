/**
 * What strangers can do to a port for a hole by QUIC: while it waits for the one that it is for, and while it carries a link. The flood is a program
 * of its own; what is looked at is a program that does nothing but answer.
 *
 *   node bench/quic-floods.ts [--per-second 2000] [--seconds 10]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadQuic, type QuicLibrary } from '../src/mesh/libp2p-quic.ts';
import { End, helloOf, pause, punch, seenPort } from '../test/contract/transport/quic-ends.ts';
import { ada, bob, eve } from '../test/contract/transport/worlds.ts';

const FLOOD = fileURLToPath(new URL('./quic-flood-program.ts', import.meta.url));
const KINDS = ['random', 'false-beginnings', 'half-open'] as const;
const never = new AbortController().signal;
const { values } = parseArgs({
  options: {
    'per-second': { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '10' },
  },
});
const loaded = await loadQuic();
if (typeof loaded === 'string') throw new Error(loaded);
const library: QuicLibrary = loaded;
const [left, right, stranger] = [
  await End.create(ada, library),
  await End.create(bob, library),
  await End.create(eve, library),
];
const hello = await helloOf({ library, end: stranger });
console.log(
  `${'the port'.padEnd(10)} ${'flood'.padEnd(17)} closed after   datagrams sent   more memory   loop late p99   next hole`,
);
for (const kind of KINDS) {
  await measure('waits', kind);
  await measure('carries', kind);
}
for (const end of [left, right, stranger]) await end.stop();

async function measure(what: 'waits' | 'carries', kind: (typeof KINDS)[number]): Promise<void> {
  const { port, ended } = what === 'waits' ? await waiting() : await carrying();
  const before = residentBytes();
  const late = monitorEventLoopDelay({ resolution: 5 });
  late.enable();
  const flood = fork(FLOOD, { serialization: 'advanced' });
  flood.send({ port, kind, perSecond: Number(values['per-second']), hello });
  const begun = performance.now();
  const isClosed = await Promise.race([
    ended.then(() => true),
    pause(1_000 * Number(values.seconds)).then(() => false),
  ]);
  const afterMs = performance.now() - begun;
  late.disable();
  const grown = residentBytes() - before;
  flood.send('how many');
  const [{ sent }] = (await once(flood, 'message')) as [{ readonly sent: number }];
  flood.disconnect();
  await once(flood, 'exit');
  const next = await punch(left, right).then(
    (connection) => connection.status,
    (error) => String(error),
  );
  for (const connection of left.parts.node.getConnections()) connection.abort(new Error('measured'));
  await ended;
  console.log(
    [
      what.padEnd(10),
      kind.padEnd(17),
      (isClosed ? `${afterMs.toFixed(0)} ms` : 'not').padStart(12),
      String(sent).padStart(16),
      `${(grown / 2 ** 20).toFixed(1)} MiB`.padStart(13),
      `${(late.percentile(99) / 1e6).toFixed(1)} ms`.padStart(15),
      next.padStart(11),
    ].join(' '),
  );
}

/** Nobody comes to this one. */
async function waiting(): Promise<{ readonly port: number; readonly ended: Promise<void> }> {
  const answers = await right.holes.open('answers');
  const { port } = await seenPort(answers);
  const through = answers.through(left.peerId, { host: '127.0.0.1', port: 9 }, never);
  return { port, ended: through.then(undefined, () => undefined) };
}

async function carrying(): Promise<{ readonly port: number; readonly ended: Promise<void> }> {
  const connection = await punch(left, right);
  const ended = new Promise<void>((resolve) => connection.addEventListener('close', () => resolve()));
  return { port: Number(connection.remoteAddr.toString().split('/')[4]), ended };
}

function residentBytes(): number {
  return 1_024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}
