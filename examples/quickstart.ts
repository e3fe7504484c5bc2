/**
 * The first mesh in one go: three agents on loopback, joined by a ticket; a job handed to one of them runs on another.
 * Every step is a command that you could type. Whatever happens, Ctrl-C included, everything is stopped and removed again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What will not come true any more. */
class Gone extends Error {}

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const PROGRAM = join(ROOT, 'bin/aspen-agent');
const STEP_CAP_MS = 60_000;
const STOP_CAP_MS = 10_000;

/** Loopback only: trying it out must not announce anything on your network. */
const ENVIRONMENT = {
  ...process.env,
  PATH: [join(ROOT, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter),
  ASPEN_LISTEN: '/ip4/127.0.0.1/tcp/0',
  ASPEN_MDNS: 'off',
};

interface Status {
  readonly peerId: string;
  readonly group: {
    readonly leader: string | null;
    readonly voters: readonly string[];
    readonly hasQuorum: boolean;
  };
}

const directory = mkdtempSync(join(tmpdir(), 'aspen-quickstart-'));
const dataDirOf = (name: string): string => join(directory, name);
const agents: ChildProcess[] = [];
const interrupted = new AbortController();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));
}

try {
  await quickstart();
} catch (error) {
  console.error(
    `\nThe quickstart did not get to its end: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = 1;
} finally {
  await removeEverything();
}

async function quickstart(): Promise<void> {
  const startedMs = performance.now();
  say('Starting the first agent. It belongs to no mesh yet, so it founds one.');
  await start('a', ['up']);

  say('An invitation for two more.');
  const { ticket } = await json<{ ticket: string }>('a', ['ticket', 'create', '--uses', '2']);
  console.log(`  ${ticket.slice(0, 48)}...`);

  say('Two more agents join with it.');
  await Promise.all([start('b', ['join', ticket]), start('c', ['join', ticket])]);

  say('Three agents are enough for a group that survives the loss of one: waiting until all three vote.');
  const { group } = await votersOf(3);
  console.log(`  leader ${group.leader}\n  voters ${group.voters.join('\n         ')}`);

  say('A job handed to agent a, to be run on agent c.');
  const target = (await json<Status>('c', ['status'])).peerId;
  const script = 'echo "hello from $ASPEN_NODE"; echo "this is attempt $ASPEN_ATTEMPT of $ASPEN_JOB_ID"';
  const output = await command('a', ['run', '--node', target, '--', 'sh', '-c', script]);
  console.log(output.trimEnd().replaceAll(/^/gm, '  | '));
  if (!output.startsWith(`hello from ${target}\n`)) throw new Error('the job did not run where it was sent');

  say(`It ran on agent c. All of it took ${((performance.now() - startedMs) / 1_000).toFixed(1)} s.`);
}

function say(text: string): void {
  console.log(`\n${text}`);
}

function tell(args: readonly string[]): void {
  const shown = args.map((arg) => (arg.startsWith('aspen1') ? 'TICKET' : arg));
  console.log(`  $ aspen-agent ${shown.map((arg) => (/[\s"$]/.test(arg) ? `'${arg}'` : arg)).join(' ')}`);
}

/** Starts an agent in the background and returns once it answers. */
async function start(name: string, args: readonly string[]): Promise<void> {
  const all = [...args, '--name', name, '--data-dir', dataDirOf(name)];
  tell(all);
  const log = openSync(join(directory, `${name}.log`), 'a');
  const child = spawn(PROGRAM, [...all, '--foreground'], {
    env: ENVIRONMENT,
    stdio: ['ignore', log, log],
    detached: true, // Ctrl-C is for the quickstart, which then stops its agents in good order
  });
  closeSync(log);
  await once(child, 'spawn');
  agents.push(child);
  await soon(`agent ${name} to answer`, async () => {
    if (child.exitCode !== null) {
      throw new Gone(`agent ${name} ended:\n${readFileSync(join(directory, `${name}.log`), 'utf8')}`);
    }
    return await json<Status>(name, ['status'], { isQuiet: true });
  });
}

async function votersOf(count: number): Promise<Status> {
  tell(['status', '-o', 'json', '--data-dir', dataDirOf('a')]);
  return await soon(`${count} voters`, async () => {
    const statuses = await Promise.all(
      ['a', 'b', 'c'].map((name) => json<Status>(name, ['status'], { isQuiet: true })),
    );
    const isAgreed = statuses.every(
      ({ group }) =>
        group.voters.length === count && group.leader !== null && group.leader === statuses[0]?.group.leader,
    );
    return isAgreed ? statuses[0] : undefined;
  });
}

async function json<T>(
  name: string,
  args: readonly string[],
  options: { readonly isQuiet?: boolean } = {},
): Promise<T> {
  return JSON.parse(await command(name, [...args, '-o', 'json'], options)) as T;
}

/** Runs one command against an agent. @returns its standard output. @throws Error when it does not end with 0. */
async function command(
  name: string,
  args: readonly string[],
  { isQuiet = false }: { readonly isQuiet?: boolean } = {},
): Promise<string> {
  const at = args.includes('--') ? args.indexOf('--') : args.length;
  const all = [...args.slice(0, at), '--data-dir', dataDirOf(name), ...args.slice(at)];
  if (!isQuiet) tell(all);
  interrupted.signal.throwIfAborted();
  const child = spawn(PROGRAM, all, { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const kill = (): void => void child.kill();
  interrupted.signal.addEventListener('abort', kill, { once: true });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  interrupted.signal.removeEventListener('abort', kill);
  interrupted.signal.throwIfAborted();
  if (code !== 0) throw new Error(`aspen-agent ${all[0]} ended with ${code}: ${stderr}`);
  return stdout;
}

async function soon<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = performance.now() + STEP_CAP_MS;
  let last: unknown;
  while (performance.now() < deadlineMs) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (error instanceof Gone || interrupted.signal.aborted) throw error;
      last = error;
    }
    await pause(200, undefined, { signal: interrupted.signal });
  }
  throw new Error(`waited ${STEP_CAP_MS / 1_000} s for ${what}`, { cause: last });
}

async function removeEverything(): Promise<void> {
  say('Stopping the agents and removing what they wrote.');
  await Promise.all(agents.map(stop));
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

async function stop(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return;
  const ended = once(agent, 'exit');
  agent.kill('SIGTERM');
  const timer = setTimeout(() => agent.kill('SIGKILL'), STOP_CAP_MS);
  await ended;
  clearTimeout(timer);
}
