import { type Command, Option } from 'commander';
import type { AgentStartOptions } from './agent-start.ts';
import type { CommandContext } from './command.ts';
import { keyValues, repeated } from './flags.ts';

/** Flags of whatever starts an agent. */
export function addStartFlags(command: Command): void {
  addNodeFlags(command);
  command
    .addOption(new Option('--foreground', 'stay in the foreground (the default)').conflicts('detach'))
    .option('--detach', 'return once the agent answers');
}

/** What this node is to be. */
export function addNodeFlags(command: Command): void {
  command
    .option('--name <name>', 'name of this node, for people')
    .option('--label <k=v>', 'label of this node (repeatable)', keyValues)
    .option('--listen <multiaddr>', 'address to listen on, e.g. /ip4/0.0.0.0/tcp/4100 (repeatable)', repeated)
    .option('--no-mdns', 'do not look for members on the local network')
    .addOption(
      new Option('--log-level <level>', 'how much it logs').choices(['debug', 'info', 'warn', 'error']),
    );
}

type StartChoices = Omit<AgentStartOptions, 'dataDir' | 'onReady' | 'ticket' | 'abandon'>;

export function startChoices({ options }: CommandContext): StartChoices {
  const { name, label, listen, logLevel } = options as Readonly<Record<string, never>>;
  const given = Object.entries({ name, labels: label, listen, logLevel }).filter(
    ([, value]) => value !== undefined,
  );
  return { ...Object.fromEntries(given), ...(options['mdns'] === false ? { isMdnsEnabled: false } : {}) };
}

/** @returns the flags that make another process start the same agent. */
export function startArguments(options: Omit<AgentStartOptions, 'onReady'>): string[] {
  const { dataDir, name, labels = {}, listen = [], ticket, abandon, isMdnsEnabled, logLevel } = options;
  return [
    ...(ticket === undefined ? ['up'] : ['join', ticket]),
    '--foreground',
    ...['--data-dir', dataDir],
    ...(name === undefined ? [] : ['--name', name]),
    ...Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    ...listen.flatMap((address) => ['--listen', address]),
    ...(abandon === true ? ['--abandon'] : []),
    ...(isMdnsEnabled === false ? ['--no-mdns'] : []),
    ...(logLevel === undefined ? [] : ['--log-level', logLevel]),
  ];
}
