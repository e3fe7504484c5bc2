import type { Command } from 'commander';
import type { Result } from '../../rpc/index.ts';
import { define, type ExitSlot } from '../command.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatFields } from '../table.ts';

type Report = Result<'net.check'>;
type Judged = Report['udp'];

/** `netcheck`: the network as this node sees it, and this node as the members see it. */
export function addNetcheckCommand(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'netcheck',
    summary: 'UDP, IPv4 and IPv6, the address others see, NAT, relays and proxies; says what nobody can tell',
    examples: ['aspen-agent netcheck', 'aspen-agent netcheck -o json'],
    run: async ({ call }) => netcheckOutput(await call('net.check', {})),
  });
}

function netcheckOutput(report: Report): Output {
  return {
    schema: 'aspen.net.check/v1',
    value: report,
    ids: report.seenAs.map(({ host }) => host),
    text: (isWide) =>
      formatFields([
        ['UDP', judged(report.udp)],
        ['IPv4', familyText(report.ipv4)],
        ['IPv6', familyText(report.ipv6)],
        ...rows('listens on', report.listens),
        ...rows('seen as', seenText(report)),
        ['mapping varies', judged(report.mappingVaries)],
        ['port mapping', judged(report.portMapping)],
        ...(report.quic === undefined ? [] : [['QUIC', judged(report.quic)] as const]),
        ['reachable', reachText(report)],
        ...rows('relay', relayText(report)),
        ...rows('proxy', proxyText(report)),
        ['multicast', report.multicastProblem ?? 'nothing speaks against it'],
        ...(isWide ? rows('observer', report.observers.map(observerText)) : []),
      ]),
  };
}

/** A name for the first of several values. */
function rows(name: string, values: readonly string[]): (readonly [string, string])[] {
  return values.map((value, at) => [at === 0 ? name : '', value]);
}

function judged({ isSo, detail }: Judged): string {
  return isSo === null ? detail : `${isSo ? 'yes' : 'no'}, ${detail}`;
}

function familyText({ hosts, links }: Report['ipv4']): string {
  if (hosts.length === 0) return `no address beside loopback, ${links} links`;
  return `${hosts.join(', ')}; ${links} links`;
}

function seenText({ seenAs, observers }: Report): string[] {
  if (observers.length === 0) return ['unknown: no member is linked'];
  if (seenAs.length === 0) return ['unknown: members see a relay'];
  return seenAs.map(
    ({ host, isPublic, members }) => `${host} (${isPublic ? 'public' : 'private'}), by ${members} members`,
  );
}

/** What is used and whether it lets through; then what else the environment says. */
function proxyText({ proxy, proxies }: Report): string[] {
  const said = proxies.map(({ variable, value }) => `${variable}=${value}`);
  if (proxy === null) return said.length === 0 ? ['none'] : ['none that is used here', ...said];
  const through = proxy.letsThrough.isSo === null ? '' : 'lets through: ';
  const name = proxy.url ?? 'not understood';
  return [`${name}, from ${proxy.from}; ${through}${judged(proxy.letsThrough)}`, ...said];
}

const REACHED: Readonly<Record<string, string>> = {
  public: 'yes, by anybody',
  private: 'not from outside, as far as its addresses tell',
};

function reachText({ reachability, isRelay }: Report): string {
  return `${REACHED[reachability] ?? 'unknown: nobody has come by a public address so far'}${isRelay ? '; carries links for others' : ''}`;
}

function relayText({ relays }: Report): string[] {
  if (relays.length === 0) return ['no member offers to carry links for others'];
  return relays.map(
    ({ name, peerId, path, rttMs }) =>
      `${name ?? peerId}, ${path ?? 'not connected'}${rttMs === null ? '' : `, ${rttMs.toFixed(1)}ms`}`,
  );
}

function observerText({ name, peerId, path, rttMs, saw }: Report['observers'][number]): string {
  return `${name ?? peerId} (${path}, ${rttMs.toFixed(1)}ms) saw ${saw ?? 'no address'}`;
}
