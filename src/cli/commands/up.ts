import type { Command } from 'commander';
import { AspenError } from '../../base/index.ts';
import { makeDataDirectory } from '../../base/os-make-directory.ts';
import type { AgentReady, AgentStartOptions } from '../agent-start.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { showPiece } from '../piece.ts';
import { addStartFlags, startChoices } from '../start-flags.ts';
import { ticketArgument } from './ticket.ts';

const ANSWER_TIMEOUT_MS = 60_000;
const JOIN_TIMEOUT_MS = 90_000;

/** `up` and `join`. */
export function addUpCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'up',
    summary: 'start the agent on this machine; the first one founds a mesh',
    examples: ['aspen-agent up', 'aspen-agent up --name cellar --label zone=home --detach'],
    configure: addStartFlags,
    run: async (context) => {
      if (await answers(context)) {
        throw new AspenError('CONFLICT', `an agent runs on ${context.flags.dataDir} already`);
      }
      return await startAgent(context, {});
    },
  });
  define(program, io, exit, {
    usage: 'join <ticket>',
    summary: 'join the mesh of a ticket ("-" reads it from standard input), starting the agent if need be',
    examples: [
      'aspen-agent join aspen1...',
      'aspen-agent ticket create | ssh other aspen-agent join - --detach',
    ],
    configure: (command) => {
      addStartFlags(command);
      command.option('--abandon', 'give up jobs and data of the mesh this node is in');
    },
    run: joinMesh,
  });
}

async function joinMesh(context: CommandContext): Promise<Output | number> {
  const ticket = await ticketArgument(context, context.args[0] as string);
  const abandon = context.options['abandon'] === true ? { abandon: true } : {};
  if (!(await answers(context))) {
    await context.io.checkTicket(ticket); // before anything is started for it
    return await startAgent(context, { ticket, ...abandon });
  }
  const timeoutMs = context.flags.timeoutMs ?? JOIN_TIMEOUT_MS;
  const joined = await context.call('mesh.join', { ticket, ...abandon }, { timeoutMs });
  return {
    schema: 'aspen.mesh.join/v1',
    value: joined,
    ids: [joined.meshId],
    text: () => `${joined.alreadyMember ? 'a member already' : 'joined'}: ${joined.meshId}\n`,
  };
}

async function answers({ connect }: CommandContext): Promise<boolean> {
  try {
    await connect();
    return true;
  } catch (error) {
    if (error instanceof AspenError && error.code === 'UNAVAILABLE') return false;
    throw error;
  }
}

async function startAgent(
  context: CommandContext,
  joining: Pick<AgentStartOptions, 'ticket' | 'abandon'>,
): Promise<Output | number> {
  const { io, flags, options } = context;
  const choices = { dataDir: flags.dataDir, ...startChoices(context), ...joining };
  if (options['detach'] === true) return await startDetached(context, choices);
  makeDataDirectory(flags.dataDir); // before the program of the agent is even read
  let announced = Promise.resolve();
  const onReady = (ready: AgentReady) => {
    announced = announce(context, ready);
  };
  const code = await io.startAgent({ ...choices, onReady });
  await announced;
  return code;
}

async function announce(context: CommandContext, ready: AgentReady): Promise<void> {
  const { flags, tell } = context;
  if (flags.isForPrograms)
    await showPiece(context, 'aspen.agent.up/v1', { value: ready, id: ready.peerId, text: '' });
  tell(`agent ${ready.name} is up: ${ready.peerId}`);
  for (const address of ready.addresses) tell(`  listens on ${address}`);
  tell(`  socket ${ready.socketPath}`);
  tell(
    `next: aspen-agent ticket create --data-dir ${flags.dataDir}, then aspen-agent join <ticket> on another machine`,
  );
}

async function startDetached(
  { io, flags, tell }: CommandContext,
  options: Omit<AgentStartOptions, 'onReady'>,
): Promise<Output | number> {
  const { EndedEarly, spawnAgent, whenAnswering } = await import('../detached.ts');
  const spawned = spawnAgent(io.self, options);
  try {
    const status = await whenAnswering(spawned, flags.timeoutMs ?? ANSWER_TIMEOUT_MS);
    spawned.child.unref();
    tell(`agent ${status.name} is up (pid ${spawned.child.pid}), data directory ${flags.dataDir}`);
    return {
      schema: 'aspen.agent.up/v1',
      value: { peerId: status.peerId, name: status.name, meshId: status.meshId, pid: spawned.child.pid },
      ids: [status.peerId],
      text: () => `${status.peerId}\n`,
    };
  } catch (error) {
    if (!(error instanceof EndedEarly)) throw error;
    io.stderr.write(`aspen-agent: the agent ended before it answered\n${error.message}\n`);
    return error.exitCode;
  }
}
