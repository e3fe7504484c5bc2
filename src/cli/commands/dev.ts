import type { Command } from 'commander';
import { mayGoUnheard } from '../../base/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';

/** Each is a process of some 100 MB. */
const NODES_LIMIT = 50;

/** `dev --nodes N`: a throw-away mesh. */
export function addDevCommand(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'dev',
    summary: 'a throw-away mesh of several agents on this machine, gone with Ctrl-C',
    examples: ['aspen-agent dev --nodes 3'],
    configure: (command) =>
      command.option('--nodes <n>', 'how many agents (default 3)', wholeNumber(1, NODES_LIMIT)),
    run: runDevMesh,
  });
}

async function runDevMesh(context: CommandContext): Promise<number> {
  const { DevMesh } = await import('../dev-mesh.ts');
  const { io, options, tell } = context;
  await using mesh = new DevMesh(io.self);
  const interrupted = new Promise<void>((resolve) => {
    io.onInterrupt(() => resolve());
  });
  const count = (options['nodes'] as number | undefined) ?? 3;
  tell(`starting ${count === 1 ? 'one agent' : `${count} agents`}`);
  const started = mayGoUnheard(mesh.start(count)); // an interrupted start fails, and nobody minds
  const ended = await Promise.race([
    interrupted.then(() => 'interrupted' as const),
    started.then(() => 'started' as const),
  ]);
  if (ended === 'started') {
    for (const { name, dataDir, peerId } of mesh.nodes) io.stdout.write(`${name}  ${peerId}  ${dataDir}\n`);
    const [first] = mesh.nodes;
    tell(`try: aspen-agent run --data-dir ${first?.dataDir} -- hostname`);
    tell('Ctrl-C stops all agents and removes their data');
    const lost = await Promise.race([interrupted, mesh.whenOneEnds()]);
    if (lost !== undefined) io.stderr.write(`aspen-agent: ${lost} ended by itself, stopping the others\n`);
    return lost === undefined ? 0 : 1;
  }
  return 0;
}
