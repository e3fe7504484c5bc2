import { AspenError } from '../../base/index.ts';
import { authorityOf, parseWsAddress } from '../../mesh/index.ts';
import type { Finding } from '../doctor.ts';
import type { MeshNode } from '../mesh-node.ts';
import type { Judged } from './net-rules.ts';
import type { ProxyProbe, ProxyTarget } from './proxy-probe.ts';

export interface ProxyReport {
  /** Without its password; null where what was said of it is not understood. */
  readonly url: string | null;
  /** Who said so, e.g. `HTTPS_PROXY`. */
  readonly from: string;
  /** Whether connections to members pass. */
  readonly letsThrough: Judged;
}

/** So many members are tried; one is enough. */
const TARGETS_LIMIT = 3;

/** @returns what the proxy of this node does with connections to members; null where there is none. Takes 5 s at most. */
export async function checkProxy(node: MeshNode): Promise<ProxyReport | null> {
  const { proxy } = node.platform;
  if (proxy === undefined) return null;
  const addresses = [
    ...node.mesh.transport.links().map(({ address }) => address),
    ...node.registry
      .nodes()
      .filter(({ peerId }) => peerId !== node.self)
      .flatMap(({ profile }) => profile.addresses),
    ...node.membership.contacts.flatMap((contact) => contact.addresses),
  ];
  const { url, from } = proxy;
  return { url, from, letsThrough: await judge(proxy, targetsOf(addresses, proxy)) };
}

/** @returns places of WebSockets that are reached through the proxy, each once. */
export function targetsOf(
  addresses: readonly string[],
  { isFor }: Pick<ProxyProbe, 'isFor'>,
): readonly ProxyTarget[] {
  const places = new Map<string, ProxyTarget>();
  for (const address of addresses) {
    const { host, port } = parseWsAddress(address) ?? {};
    if (host === undefined || port === undefined || !isFor({ host, port })) continue;
    places.set(authorityOf(host, port), { host, port });
  }
  return [...places.values()].slice(0, TARGETS_LIMIT);
}

async function judge(proxy: ProxyProbe, targets: readonly ProxyTarget[]): Promise<Judged> {
  if (proxy.problem !== undefined) return { isSo: false, detail: proxy.problem };
  if (targets.length === 0)
    return {
      isSo: null,
      detail: 'unknown: no member is known that takes WebSockets and is reached through it',
    };
  const refusals = await Promise.all(targets.map((target) => refusalOf(proxy, target)));
  const passed = targets.find((_, at) => refusals[at] === undefined);
  if (passed === undefined) return { isSo: false, detail: refusals[0] ?? '' };
  return { isSo: true, detail: `to ${authorityOf(passed.host, passed.port)}` };
}

/** @returns undefined when it lets through. */
async function refusalOf(proxy: ProxyProbe, target: ProxyTarget): Promise<string | undefined> {
  try {
    await proxy.check(target);
    return undefined;
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    return error.message;
  }
}

/** For `doctor`: nothing where there is no proxy. */
export function judgeProxy(report: ProxyReport | null): readonly Finding[] {
  if (report === null) return [];
  const { url, from, letsThrough } = report;
  const name = 'network.proxy';
  const whose = `${url === null ? 'a proxy' : `the proxy ${url}`}, from ${from}`;
  if (letsThrough.isSo === true)
    return [{ name, status: 'ok', detail: `${whose}, lets through ${letsThrough.detail}`, mend: null }];
  if (letsThrough.isSo === null)
    return [{ name, status: 'ok', detail: `${whose}: ${letsThrough.detail}`, mend: null }];
  return [
    {
      name,
      status: 'warn',
      detail: `${whose}: ${letsThrough.detail}`,
      mend: 'set the right one as HTTPS_PROXY or as proxy in aspen.yaml, proxy: off for none, or name members in NO_PROXY; then start again',
    },
  ];
}
