import type { Command } from 'commander';
import { formatDuration } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { duration, keyValues } from '../flags.ts';
import { DEFAULT_TTL_MS } from '../held/held-command.ts';
import { addPageFlags, endedOutput, pageOf, prolongedOutput } from '../held-flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { showPiece } from '../piece.ts';
import { formatTable, printable } from '../table.ts';
import { whileWatching } from '../watching.ts';
import { addServiceInstallCommand } from './service-install.ts';

/** `service register|deregister|get|list` and `lease grant|keep-alive|revoke|get|list`. */
export function addServiceCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const service =
    program.commands.find((noun) => noun.name() === 'service') ??
    program
      .command('service')
      .description('where services of the mesh can be had; install: start this agent with the machine');
  define(service, io, exit, {
    usage: 'register <name> <address>',
    summary: 'list an endpoint as long as its lease lives, and print the lease',
    examples: [
      'aspen-agent service register web 10.0.0.1:80 --label zone=eu --ttl 30s',
      'aspen-agent service register web 10.0.0.1:80 --lease lse_01k9z3...',
    ],
    configure: (command) =>
      command
        .option('--label <k=v>', 'label of the endpoint (repeatable)', keyValues)
        .option('--ttl <duration>', 'how long it lasts without a renewal (default 15s)', duration)
        .option('--lease <lease>', 'a lease that is there already, instead of one of its own'),
    run: register,
  });
  define(service, io, exit, {
    usage: 'deregister <name> <lease>',
    summary: 'take an endpoint off the list',
    examples: ['aspen-agent service deregister web lse_01k9z3...'],
    run: async ({ args: [name = '', leaseId = ''], call }) => {
      const result = await call('service.deregister', { name, leaseId });
      return endedOutput(
        'aspen.service.deregister/v1',
        leaseId,
        result,
        `${name} is no longer offered there`,
      );
    },
  });
  define(service, io, exit, {
    usage: 'get <name>',
    summary: 'the endpoints of a service',
    examples: ['aspen-agent service get web', 'aspen-agent service get web --label zone=eu -o id'],
    configure: (command) =>
      command.option('--label <k=v>', 'only those that carry it (repeatable)', keyValues),
    run: showService,
  });
  define(service, io, exit, {
    usage: 'watch <name>',
    summary: 'print the addresses of a service, now and after each change, until interrupted',
    examples: ['aspen-agent service watch web', 'aspen-agent service watch web -o jsonl'],
    run: watchService,
  });
  define(service, io, exit, {
    usage: 'list [prefix]',
    summary: 'services that can be had',
    examples: ['aspen-agent service list'],
    configure: (command) => void addPageFlags(command),
    run: listServices,
  });
  addServiceInstallCommand(service, io, exit);
  addLeaseCommands(program, io, exit);
}

function addLeaseCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const lease = program.command('lease').description('leases: what hangs on them ends with them');
  define(lease, io, exit, {
    usage: 'grant',
    summary: 'begin a lease and print its id',
    examples: ['aspen-agent lease grant --ttl 1m -o id'],
    configure: (command) =>
      command.option('--ttl <duration>', 'how long it lasts without a renewal (default 15s)', duration),
    run: async ({ options, call }) => {
      const ttlMs = (options['ttl'] as number | undefined) ?? DEFAULT_TTL_MS;
      const granted = await call('lease.grant', { ttlMs });
      return prolongedOutput('aspen.lease.grant/v1', granted.leaseId, granted);
    },
  });
  define(lease, io, exit, {
    usage: 'keep-alive <lease>',
    summary: 'prolong a lease; exit code 3 when it has ended',
    examples: ['aspen-agent lease keep-alive lse_01k9z3...'],
    run: async ({ args: [leaseId = ''], call }) =>
      prolongedOutput('aspen.lease.keep-alive/v1', leaseId, await call('lease.keepAlive', { leaseId })),
  });
  define(lease, io, exit, {
    usage: 'revoke <lease>',
    summary: 'end a lease, and all that hangs on it',
    examples: ['aspen-agent lease revoke lse_01k9z3...'],
    run: async ({ args: [leaseId = ''], call }) =>
      endedOutput(
        'aspen.lease.revoke/v1',
        leaseId,
        await call('lease.revoke', { leaseId }),
        `${leaseId} has ended`,
      ),
  });
  define(lease, io, exit, {
    usage: 'get <lease>',
    summary: 'one lease',
    examples: ['aspen-agent lease get lse_01k9z3...'],
    run: async ({ args: [leaseId = ''], call }) => {
      const found = await call('lease.get', { leaseId });
      return leasesOutput('aspen.lease.get/v1', found, [found]);
    },
  });
  define(lease, io, exit, {
    usage: 'list',
    summary: 'leases, oldest first',
    examples: ['aspen-agent lease list'],
    configure: (command) => void addPageFlags(command),
    run: async ({ options, call, tell }) => {
      const page = await call('lease.list', pageOf([], options));
      if (page.cursor !== undefined) tell(`there is more; go on with --cursor ${page.cursor}`);
      return { ...leasesOutput('aspen.lease.list/v1', page, page.leases), items: 'leases' };
    },
  });
}

async function register({ args: [name = '', address = ''], options, call }: CommandContext): Promise<Output> {
  const leaseId = options['lease'] as string | undefined;
  const ttlMs = (options['ttl'] as number | undefined) ?? DEFAULT_TTL_MS;
  const labels = (options['label'] as Record<string, string> | undefined) ?? {};
  const under = leaseId === undefined ? { ttlMs } : { leaseId };
  const registered = await call('service.register', { name, address, labels, ...under });
  return {
    schema: 'aspen.service.register/v1',
    value: { name, address, labels, ...registered },
    ids: [registered.leaseId],
    text: () => `${registered.leaseId}  for ${formatDuration(registered.ttlMs)} unless it is kept alive\n`,
  };
}

async function showService({ args: [name = ''], options, call }: CommandContext): Promise<Output> {
  const labels = (options['label'] as Record<string, string> | undefined) ?? {};
  const service = await call('service.get', { name, labels });
  return {
    schema: 'aspen.service.get/v1',
    value: service,
    items: 'endpoints',
    ids: service.endpoints.map(({ address }) => address),
    text: (isWide) =>
      formatTable(
        ['address', 'labels', ...(isWide ? ['lease', 'node'] : [])],
        service.endpoints.map(({ address, labels: own, leaseId, owner }) => [
          address,
          Object.entries(own)
            .map(([key, value]) => `${key}=${value}`)
            .join(','),
          ...(isWide ? [leaseId, owner] : []),
        ]),
      ),
  };
}

async function watchService(context: CommandContext): Promise<number> {
  const { args, connect } = context;
  const [name = ''] = args;
  const client = await connect();
  return whileWatching(context, `service ${name}`, async (signal) => {
    for await (const change of client.watchService(name, signal)) {
      const addresses = change.endpoints.map(({ address }) => address).join(' ');
      const text = printable(addresses || '(nobody offers it)');
      await showPiece(context, 'aspen.service.watch/v1', { value: change, id: addresses, text });
    }
  });
}

async function listServices({ args, options, call, tell }: CommandContext): Promise<Output> {
  const page = await call('service.list', pageOf(args, options));
  if (page.cursor !== undefined) tell(`there is more; go on with --cursor ${page.cursor}`);
  return {
    schema: 'aspen.service.list/v1',
    value: page,
    items: 'items',
    ids: page.items.map(({ name }) => name),
    text: () =>
      formatTable(
        ['name', 'endpoints'],
        page.items.map(({ name, endpointCount }) => [name, `${endpointCount}`]),
      ),
  };
}

function leasesOutput(schema: string, value: object, leases: Result<'lease.list'>['leases']): Output {
  return {
    schema,
    value,
    ids: leases.map(({ leaseId }) => leaseId),
    text: () =>
      formatTable(
        ['lease', 'ends in', 'lasts', 'node'],
        leases.map(({ leaseId, remainingMs, ttlMs, owner }) => [
          leaseId,
          formatDuration(remainingMs),
          formatDuration(ttlMs),
          owner,
        ]),
      ),
  };
}
