import { type Command, CommanderError } from 'commander';
import { AspenError } from '../base/index.ts';
import type { MethodName, ParamsInput, Result } from '../rpc/index.ts';
import { MUTATING_METHODS } from '../rpc/os-client.ts';
import type { AspenClient, CallOptions } from '../sdk/index.ts';
import { EXIT_WRONG_USAGE, reportFailure } from './failure.ts';
import { addGlobalFlags, type GlobalFlags, resolveGlobalFlags } from './flags.ts';
import { inFlags } from './in-flags.ts';
import type { CliIo } from './io.ts';
import { type Output, show, tell } from './output.ts';

/** What a command works with. */
export interface CommandContext {
  readonly io: CliIo;
  readonly flags: GlobalFlags;
  /** Options of this command, as commander parsed them. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly args: readonly string[];
  /** Connects to the agent of the data directory. @throws AspenError UNAVAILABLE when none answers. */
  connect(): Promise<AspenClient>;
  /** Connects if needed and calls. With `--timeout`, tries again while there is no quorum. */
  call<M extends MethodName>(method: M, params: ParamsInput<M>, options?: CallOptions): Promise<Result<M>>;
  tell(message: string): void;
}

export interface CommandDefinition {
  /** e.g. `get <id>` */
  readonly usage: string;
  readonly summary: string;
  /** Whole command lines, shown in the help. */
  readonly examples: readonly [string, ...string[]];
  readonly ownTimeout?: boolean;
  readonly configure?: (command: Command) => void;
  /** @returns what to show, or the exit code. */
  readonly run: (context: CommandContext) => Promise<Output | number | undefined>;
}

/** Where the exit code of the command that ran is put. */
export interface ExitSlot {
  code: number;
}

/** How long an agent may take to say how it is. Unit: ms. */
const STATUS_MS = 500;

/** Adds one command to a noun or to the program. */
export function define(parent: Command, io: CliIo, exit: ExitSlot, definition: CommandDefinition): Command {
  const { usage, summary, examples, ownTimeout = false, configure, run } = definition;
  const command = parent.command(usage).description(summary);
  configure?.(command);
  addGlobalFlags(command, { ownTimeout });
  const title = examples.length === 1 ? 'Example' : 'Examples';
  describeNoun(parent, examples[0]);
  command.addHelpText('after', `\n${title}:\n${examples.map((example) => `  ${example}\n`).join('')}`);
  command.action(async () => {
    const given = lineageOf(command).map((one) => one.opts());
    const options: Record<string, unknown> = Object.assign({}, ...given);
    options['color'] = given.every(({ color }) => color !== false);
    const flags = flagsOf(options, { io, ownTimeout });
    exit.code = typeof flags === 'number' ? flags : await runCommand({ io, flags, options, command, run });
  });
  return command;
}

/** @returns the exit code where they say what cannot be, once it was told. */
function flagsOf(
  options: Readonly<Record<string, unknown>>,
  { io, ownTimeout }: { readonly io: CliIo; readonly ownTimeout: boolean },
): GlobalFlags | number {
  try {
    return resolveGlobalFlags(options, { env: io.env, isTTY: io.stdout.isTTY, ownTimeout });
  } catch (error) {
    return reportFailure(io, error, '');
  }
}

const described = new WeakSet<Command>();

/** The help of a noun shows how its first verb is used; the flags of every command may stand before the verb too. */
function describeNoun(noun: Command, example: string): void {
  if (noun.parent === null || described.has(noun)) return;
  described.add(noun);
  addGlobalFlags(noun);
  noun.addHelpText('after', `\nExample:\n  ${example}\n`);
}

async function runCommand({
  io,
  flags,
  options,
  command,
  run,
}: Pick<CommandContext, 'io' | 'flags' | 'options'> &
  Pick<CommandDefinition, 'run'> & { readonly command: Command }): Promise<number> {
  const session = createSession(flags);
  try {
    const shown = await run({
      io,
      flags,
      options,
      args: command.args,
      ...session,
      tell: (message) => tell(io, flags, message),
    });
    if (typeof shown === 'number') return shown;
    if (shown === undefined) return 0;
    await show(io, flags, shown);
    return shown.exitCode ?? 0;
  } catch (error) {
    if (error instanceof CommanderError) throw error;
    return reportFailure(io, inFlags(error, command), flags.dataDir);
  } finally {
    session.close();
  }
}

/** One connection for the whole command, opened when it is first needed. */
function createSession(flags: GlobalFlags): Pick<CommandContext, 'connect' | 'call'> & { close(): void } {
  let client: AspenClient | undefined;
  const { timeoutMs } = flags;
  const connect = async () => {
    if (client !== undefined) return client;
    const { AspenClient } = await import('../sdk/index.ts');
    client = await AspenClient.connect({
      dataDir: flags.dataDir,
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    return client;
  };
  const call = async <M extends MethodName>(method: M, params: ParamsInput<M>, options?: CallOptions) => {
    const connected = await connect();
    try {
      return await connected.call(method, params, options);
    } catch (error) {
      const told = await withReason(connected, error);
      throw MUTATING_METHODS.has(method) ? told : ofRead(told);
    }
  };
  return { connect, call, close: () => client?.close() };
}

/** Time ran out on this side: whether that was for want of a quorum, the agent knows. */
async function withReason(client: AspenClient, error: unknown): Promise<unknown> {
  if (!(error instanceof AspenError) || error.code !== 'DEADLINE_EXCEEDED') return error;
  try {
    const { group } = await client.call('agent.status', {}, { timeoutMs: STATUS_MS });
    if (group.hasQuorum) return error;
  } catch (failure) {
    if (failure instanceof AspenError) return error;
    throw failure;
  }
  const message = `${error.message}: no leader that a majority follows is known`;
  return new AspenError(error.code, message, {
    details: error.details,
    outcome: error.outcome,
    cause: error,
  });
}

/** A question changes nothing, whatever became of it. */
function ofRead(error: unknown): unknown {
  if (!(error instanceof AspenError) || error.outcome !== 'unknown') return error;
  const { code, message, details } = error;
  const said = message.replace('; it may still take effect', '');
  return new AspenError(code, said, { details, outcome: 'not-applied', cause: error });
}

/** The program first, the command last: what stands nearer to the verb counts. */
function lineageOf(command: Command): readonly Command[] {
  return command.parent === null ? [command] : [...lineageOf(command.parent), command];
}

/** Wrong usage is 2; asking for help or the version is no error. */
export function exitCodeOf(error: CommanderError): number {
  return error.exitCode === 0 ? 0 : EXIT_WRONG_USAGE;
}
