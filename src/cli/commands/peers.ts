import type { Command } from 'commander';
import { formatDuration } from '../../base/index.ts';
import type { MeshPeer, Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatTable, printable } from '../table.ts';

type Matrix = Result<'mesh.matrix'>;

/** Nodes that fit a terminal side by side; of more, the links are listed. */
const COLUMNS_LIMIT = 24;

/** `peers`: the other members, and with `--matrix` who reaches whom. */
export function addPeersCommand(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'peers',
    summary: 'the other members, with path, round trip and role',
    examples: ['aspen-agent peers -o wide', 'aspen-agent peers --matrix'],
    configure: (command) =>
      command.option('--matrix', 'who reaches whom and how, as the nodes themselves told'),
    run: showPeers,
  });
}

async function showPeers({ call, options }: CommandContext): Promise<Output> {
  if (options['matrix'] === true) return matrixOutput(await call('mesh.matrix', {}));
  return peersOutput((await call('mesh.peers', {})).peers);
}

function peersOutput(peers: readonly MeshPeer[]): Output {
  return {
    schema: 'aspen.mesh.peers/v1',
    value: { peers },
    items: 'peers',
    ids: peers.map(({ peerId }) => peerId),
    text: (isWide) =>
      formatTable(
        ['name', 'peer id', 'role', 'path', 'rtt', ...(isWide ? WIDE : [])],
        peers.map((peer) => [
          peer.name ?? '-',
          peer.peerId,
          peer.role ?? '-',
          peer.path ?? unlinkedText(peer),
          rttText(peer),
          ...(isWide ? wideCells(peer) : []),
        ]),
      ) + whyText(peers),
  };
}

const WIDE = ['over', 'since', 'heard', 'in', 'out', 'address'];

function wideCells({ carrier, since, unheardMs, bytesIn, bytesOut, address }: MeshPeer): string[] {
  return [
    carrier ?? '-',
    since === null || since === undefined ? '-' : formatDuration(Math.max(0, Date.now() - since)),
    unheardMs === null || unheardMs === undefined ? '-' : `${formatDuration(unheardMs)} ago`,
    bytesText(bytesIn),
    bytesText(bytesOut),
    address ?? '-',
  ];
}

/** A guess from coordinates is marked as one. */
function rttText({ rttMs, estimatedRttMs }: MeshPeer): string {
  if (rttMs !== null) return `${rttMs.toFixed(1)}ms`;
  return estimatedRttMs === null || estimatedRttMs === undefined ? '-' : `~${estimatedRttMs.toFixed(1)}ms`;
}

function bytesText(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 2 ** (10 * unit);
  return `${unit === 0 ? value : value.toFixed(1)}${units[unit]}`;
}

/** A channel that does not answer is not called up, nor called gone. */
function unlinkedText({ isDoubted }: MeshPeer): string {
  return isDoubted === true ? 'doubted' : 'not connected';
}

/** Below the table, since a reason is a sentence. */
function whyText(peers: readonly MeshPeer[]): string {
  const reasons = peers.flatMap((peer) =>
    peer.why === null || peer.why === undefined
      ? []
      : [`  ${peer.name ?? peer.peerId}: ${peer.path ?? unlinkedText(peer)}, ${peer.why}`],
  );
  return reasons.length === 0 ? '' : `\n${reasons.map((reason) => `${printable(reason)}\n`).join('')}`;
}

function matrixOutput(matrix: Matrix): Output {
  return {
    schema: 'aspen.mesh.matrix/v1',
    value: matrix,
    items: 'links',
    ids: matrix.links.map(({ from, to }) => `${from}>${to}`),
    text: () => (matrix.nodes.length <= COLUMNS_LIMIT ? squareText(matrix) : listText(matrix)) + LEGEND,
  };
}

const LEGEND =
  '\nEach row as that node told it: a round trip for a direct path, r and a round trip over a relay, . for no channel,\n' +
  '? where it has told nothing. Round trips are rounded up to a power of two; ! marks what the other end does not tell.\n';

function squareText({ nodes, links }: Matrix): string {
  const byPair = new Map(links.map((link) => [`${link.from} ${link.to}`, link]));
  return formatTable(
    ['from', ...nodes.map((_, at) => String(at + 1))],
    nodes.map((row, at) => [
      `${at + 1} ${nameOf(row)}${row.isAlive ? '' : ' (silent)'}`,
      ...nodes.map((column) => {
        if (column.peerId === row.peerId) return '-';
        if (row.toldAt === null) return '?';
        return cellText(byPair.get(`${row.peerId} ${column.peerId}`));
      }),
    ]),
  );
}

function listText({ nodes, links }: Matrix): string {
  const names = new Map(nodes.map((node) => [node.peerId, nameOf(node)]));
  return formatTable(
    ['from', 'to', 'path'],
    links.map((link) => [names.get(link.from) ?? link.from, names.get(link.to) ?? link.to, cellText(link)]),
  );
}

function cellText(link: Matrix['links'][number] | undefined): string {
  if (link === undefined) return '.';
  const rtt = link.rttMs === null ? 'yes' : `${link.rttMs}ms`;
  return `${link.path === 'relay' ? 'r' : ''}${rtt}${link.isMutual ? '' : '!'}`;
}

function nameOf({ name, peerId }: Matrix['nodes'][number]): string {
  return name ?? peerId.slice(-8);
}
