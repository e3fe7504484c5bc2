import type { Command } from 'commander';
import type { NodeEntry, Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { findPeerId } from '../find.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatTable } from '../table.ts';

const DRAINS = [
  ['drain', 'give a node (this one, or PEER) no new jobs; what runs there goes on'],
  ['undrain', 'let a node take jobs again'],
] as const;

/** `node list|label|drain|undrain|revoke`. */
export function addNodeCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const node = program.command('node').description('members of the mesh');
  define(node, io, exit, {
    usage: 'list',
    summary: 'every member, this node included',
    examples: ['aspen-agent node list -o wide'],
    run: async ({ call }) => nodesOutput((await call('node.list', {})).nodes),
  });
  define(node, io, exit, {
    usage: 'label <labels...>',
    summary: 'set (k=v) and remove (k-) labels of this node, or of --node',
    examples: ['aspen-agent node label zone=eu disk=ssd', 'aspen-agent node label zone-'],
    configure: (command) => command.option('--node <peer>', 'peer id, unique prefix of it, or name'),
    run: labelNode,
  });
  for (const [verb, summary] of DRAINS) {
    define(node, io, exit, {
      usage: `${verb} [peer]`,
      summary,
      examples: [`aspen-agent node ${verb}`, `aspen-agent node ${verb} 12D3KooW...`],
      run: (context) => drainNode(context, verb),
    });
  }
  define(node, io, exit, {
    usage: 'revoke <peer>',
    summary: 'expel a member for good; the root key of the mesh is replaced if it had that',
    examples: ['aspen-agent node revoke 12D3KooW... --reason stolen'],
    configure: (command) => command.option('--reason <text>', 'kept with the revocation'),
    run: revokeNode,
  });
}

async function drainNode(context: CommandContext, verb: 'drain' | 'undrain'): Promise<Output> {
  const [name] = context.args;
  const peer = name === undefined ? {} : { peerId: await findPeerId(context, name) };
  const drained = await context.call(`node.${verb}`, peer);
  const undrain = ['aspen-agent node undrain', ...context.args].join(' ');
  const text = drained.isDraining ? `takes no new jobs until: ${undrain}` : 'takes jobs again';
  return {
    schema: `aspen.node.${verb}/v1`,
    value: drained,
    ids: [drained.peerId],
    text: () => `${drained.peerId} ${text}\n`,
  };
}

function nodesOutput(nodes: readonly NodeEntry[]): Output {
  return {
    schema: 'aspen.node.list/v1',
    value: { nodes },
    items: 'nodes',
    ids: nodes.map(({ peerId }) => peerId),
    text: (isWide) =>
      formatTable(
        ['name', 'peer id', 'role', 'alive', 'labels', ...(isWide ? ['runs', 'version'] : [])],
        nodes.map((node) => [
          `${node.name ?? '-'}${node.isSelf ? ' (this node)' : ''}`,
          node.peerId,
          node.role ?? '-',
          `${node.isAlive ? 'yes' : 'no'}${node.isDraining === true ? ', draining' : ''}`,
          formatLabels(node.labels),
          ...(isWide ? [node.runs.join(','), node.version ?? '-'] : []),
        ]),
      ),
  };
}

async function labelNode(context: CommandContext): Promise<Output> {
  const { args, options, call } = context;
  const labels: Record<string, string> = {};
  const remove: string[] = [];
  for (const arg of args) {
    const at = arg.indexOf('=');
    if (at > 0) labels[arg.slice(0, at)] = arg.slice(at + 1);
    else if (arg.endsWith('-') && arg.length > 1) remove.push(arg.slice(0, -1));
    else throw wrongUsage(`"${arg}" is neither key=value nor key-`);
  }
  const name = options['node'] as string | undefined;
  const peer = name === undefined ? {} : { peerId: await findPeerId(context, name) };
  const labelled = await call('node.label', { ...peer, labels, remove });
  return {
    schema: 'aspen.node.label/v1',
    value: labelled,
    ids: [labelled.peerId],
    text: () => `${formatLabels(labelled.labels)}\n`,
  };
}

async function revokeNode(context: CommandContext): Promise<Output> {
  const reason = context.options['reason'] as string | undefined;
  const revoked = await context.call('node.revoke', {
    peerId: await findPeerId(context, context.args[0] as string),
    ...(reason === undefined ? {} : { reason }),
  });
  return {
    schema: 'aspen.node.revoke/v1',
    value: revoked,
    ids: [revoked.peerId],
    text: () => `${revoked.peerId} revoked\n${rootText(revoked.root)}`,
  };
}

/** What the revocation of a member that had the root key means for everybody else. */
function rootText(root: Result<'node.revoke'>['root']): string {
  if (root === undefined) return '';
  if (root.isDue)
    return 'it had the root key of the mesh, which is replaced as soon as it has left the group: see aspen-agent status\n';
  if (root.number === 0) return '';
  return (
    `the root key of the mesh has number ${root.number}; members stay members, also those that are off now,\n` +
    'but no ticket made before the last replacement admits any more: aspen-agent ticket create\n'
  );
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? '-' : pairs.join(',');
}
