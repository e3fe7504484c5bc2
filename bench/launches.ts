/**
 * What it costs to start a program behind a cover of the agent's directory: processor time of all that is started for it.
 *
 *   node bench/launches.ts [starts of each, 150]
 *
 * Beside the lines that are used stand two that are not: a view of the files that is prepared once, entered, and copied for each job or shared by all. As root.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Layers, launchLine, NO_LAYERS, type Plan } from '../src/supervisor/index.ts';
import { probeLayers } from '../src/supervisor/os-layers.ts';

/** Of the system's clock in `/proc/PID/stat`. */
const TICK_MS = 10;
const ROUNDS = 2;
const starts = Number(process.argv[2] ?? 150);
const directory = mkdtempSync(join(tmpdir(), 'aspen-launches-'));
const hidden = join(directory, 'data');
mkdirSync(hidden);
const { layers } = await probeLayers();
if (layers.hide === null) throw new Error('nothing can hide a directory here');

const PLAN: Plan = { isSandboxed: false, isAgentHidden: true, isNetworked: true, limits: {}, holders: {} };

function covered(isRoot: boolean, program: { readonly file: string; readonly args: readonly string[] }) {
  const own: Layers = { ...NO_LAYERS, hide: layers.hide, isRoot };
  return launchLine(program, PLAN, {
    ...{ layers: own, hidden, writable: [], readable: [], cgroups: [], user: null },
    self: isRoot ? { uid: 0, gid: 0 } : { uid: 65_534, gid: 65_534 },
  });
}

/** Of the children that were waited for. */
function childrenMs(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

function measure(name: string, [file = '', ...args]: readonly string[]): void {
  const [beforeMs, fromMs] = [childrenMs(), performance.now()];
  for (let at = 0; at < starts; at += 1) {
    const { status, stderr } = spawnSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
  }
  const [cpuMs, wallMs] = [childrenMs() - beforeMs, performance.now() - fromMs];
  console.log(
    `${name}: ${(cpuMs / starts).toFixed(2)} ms of processor time, ${(wallMs / starts).toFixed(2)} ms each`,
  );
}

const program = { file: '/bin/true', args: [] };
const [file = '', ...args] = covered(true, { file: 'sh', args: ['-c', 'echo ready; exec sleep 600'] });
const prepared = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
await new Promise((resolve) => prepared.stdout.once('data', resolve));
const enter = ['nsenter', `--mount=/proc/${prepared.pid}/ns/mnt`, '--'];
for (let round = 0; round < ROUNDS; round += 1) {
  measure('the program alone', [program.file]);
  measure('covered, as root', covered(true, program));
  measure('covered, as another user', covered(false, program));
  measure('entered and copied', [
    ...enter,
    layers.hide.unshare,
    '--mount',
    '--propagation',
    'slave',
    '--',
    program.file,
  ]);
  measure('entered', [...enter, program.file]);
}
prepared.kill('SIGKILL');
rmSync(directory, { recursive: true });
