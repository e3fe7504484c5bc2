import type { Command } from 'commander';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { wholeNumber } from '../flags.ts';
import { DEFAULT_TTL_MS, runUnderLease, whileWaiting } from '../held/held-command.ts';
import {
  addAcquireFlags,
  addPageFlags,
  addRunFlags,
  endedOutput,
  heldOutput,
  pageOf,
  prolongedOutput,
} from '../held-flags.ts';
import type { CliIo } from '../io.ts';
import { resourceOutput, resourcesOutput } from '../resource-output.ts';

/** `lock` and `semaphore`: `run|acquire|renew|release|get|list`. */
export function addLockCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  addClaimCommands(program, io, exit, {
    noun: 'lock',
    description: 'locks of the mesh, first come, first served',
    run: 'run a program while holding a lock; it is ended before the lock can be lost',
    flags: '',
    configure: (command) => command,
    wishOf: () => ({}),
  });
  addClaimCommands(program, io, exit, {
    noun: 'semaphore',
    description: 'permits of the mesh, first come, first served',
    run: 'run a program while holding permits; it is ended before they can be lost',
    flags: ' --limit 3',
    configure: (command) =>
      command
        .option('--limit <n>', 'permits there are; all who use it must agree', wholeNumber(1))
        .option('--permits <n>', 'permits to take (default 1)', wholeNumber(1)),
    wishOf: semaphoreWish,
  });
}

interface ClaimNoun {
  readonly noun: 'lock' | 'semaphore';
  readonly description: string;
  readonly run: string;
  /** For the examples. */
  readonly flags: string;
  readonly configure: (command: Command) => Command;
  /** What its `acquire` takes beside name and times. */
  readonly wishOf: (options: CommandContext['options']) => object;
}

function semaphoreWish(options: CommandContext['options']): object {
  const { limit, permits } = options;
  if (limit === undefined) throw wrongUsage('say how many permits there are, with --limit');
  return { limit, ...(permits !== undefined && { permits }) };
}

function addClaimCommands(
  program: Command,
  io: CliIo,
  exit: ExitSlot,
  { noun, description, run, flags, configure, wishOf }: ClaimNoun,
): void {
  const command = program.command(noun).description(description);
  define(command, io, exit, {
    usage: 'run <name> <program...>',
    summary: run,
    examples: [
      `aspen-agent ${noun} run nightly${flags} -- ./backup.sh`,
      `aspen-agent ${noun} run nightly${flags} --wait 0s --ttl 30s -- ./backup.sh || echo "exit code $?"`,
    ],
    configure: (it) => void configure(addRunFlags(it)),
    run: (context) => runClaimed(context, noun, wishOf(context.options)),
  });
  define(command, io, exit, {
    usage: 'acquire <name>',
    summary: 'take it and print its lease, which ends after --ttl unless it is renewed',
    examples: [`aspen-agent ${noun} acquire nightly${flags} --ttl 10m --wait 30s -o json`],
    configure: (it) => void configure(addAcquireFlags(it)),
    run: (context) => acquire(context, noun, wishOf(context.options)),
  });
  define(command, io, exit, {
    usage: 'renew <name> <lease>',
    summary: 'prolong its lease; exit code 4 when it is lost',
    examples: [`aspen-agent ${noun} renew nightly lse_01k9z3...`],
    run: async ({ args: [name = '', leaseId = ''], call }) =>
      prolongedOutput(`aspen.${noun}.renew/v1`, leaseId, await call(`${noun}.renew`, { name, leaseId })),
  });
  define(command, io, exit, {
    usage: 'release <name> <lease>',
    summary: 'give it back; exit code 4 when it was lost before',
    examples: [`aspen-agent ${noun} release nightly lse_01k9z3...`],
    run: async ({ args: [name = '', leaseId = ''], call }) => {
      const released = await call(`${noun}.release`, { name, leaseId });
      return endedOutput(`aspen.${noun}.release/v1`, leaseId, released, `${name} is given back`);
    },
  });
  define(command, io, exit, {
    usage: 'get <name>',
    summary: 'who holds it, and who waits for it',
    examples: [`aspen-agent ${noun} get nightly`],
    run: async ({ args: [name = ''], call }) =>
      resourceOutput(`aspen.${noun}.get/v1`, await call(`${noun}.get`, { name })),
  });
  define(command, io, exit, {
    usage: 'list [prefix]',
    summary: 'those that are held or waited for',
    examples: [`aspen-agent ${noun} list`, `aspen-agent ${noun} list jobs/ -o json`],
    configure: (it) => void addPageFlags(it),
    run: async (context) => {
      const page = await context.call(`${noun}.list`, pageOf(context.args, context.options));
      return resourcesOutput(context, `aspen.${noun}.list/v1`, page);
    },
  });
}

async function acquire(context: CommandContext, noun: ClaimNoun['noun'], wish: object) {
  const { args, options, flags, call } = context;
  const [name = ''] = args;
  const ttlMs = (options['ttl'] as number | undefined) ?? DEFAULT_TTL_MS;
  const waitMs = (options['wait'] as number | undefined) ?? 0;
  const params = { ...wish, name, ttlMs, waitMs } as Parameters<typeof call<'semaphore.acquire'>>[1];
  const held = await call(`${noun}.acquire`, params, whileWaiting(flags, waitMs));
  return heldOutput(`aspen.${noun}.acquire/v1`, name, held);
}

function runClaimed(context: CommandContext, noun: ClaimNoun['noun'], wish: object): Promise<number> {
  const { args, call, connect } = context;
  const [name = '', ...program] = args;
  const holding = {
    what: `${noun} "${name}"`,
    name,
    acquire: (times: { readonly ttlMs: number; readonly waitMs: number }, options: object) => {
      const params = { ...wish, name, ...times } as Parameters<typeof call<'semaphore.acquire'>>[1];
      return call(`${noun}.acquire`, params, options);
    },
    renew: async (leaseId: string, options: object) =>
      (await connect()).call(`${noun}.renew`, { name, leaseId }, options),
    release: async (leaseId: string, options: object) =>
      (await connect()).call(`${noun}.release`, { name, leaseId }, options),
  };
  return runUnderLease(context, holding, program);
}
