import type { PeerLink } from '../../mesh/index.ts';
import type { MeshNode } from '../mesh-node.ts';
import {
  hostOf,
  type Judged,
  judgeMapping,
  judgeQuic,
  judgeUdp,
  proxiesOf,
  type SeenAs,
  seenAs,
} from './net-rules.ts';
import type { InterfaceAddress } from './network-facts.ts';
import { observeSelf, probeUdp } from './observations.ts';
import { judgePortMapping } from './port-mapping-rules.ts';
import { checkProxy, type ProxyReport } from './proxy-check.ts';

export interface FamilyReport {
  readonly hosts: readonly string[];
  /** Links over it now. */
  readonly links: number;
}

export interface NetReport {
  readonly listens: readonly string[];
  readonly ipv4: FamilyReport;
  readonly ipv6: FamilyReport;
  readonly udp: Judged;
  readonly mappingVaries: Judged;
  readonly portMapping: Judged;
  readonly quic: Judged;
  /** As members see it, with how many of them. */
  readonly seenAs: readonly SeenAs[];
  readonly reachability: string;
  readonly isRelay: boolean;
  readonly relays: readonly {
    readonly peerId: string;
    readonly name: string | null;
    readonly path: 'direct' | 'relay' | null;
    readonly rttMs: number | null;
  }[];
  readonly proxies: readonly { readonly variable: string; readonly value: string }[];
  /** The one that is used. */
  readonly proxy: ProxyReport | null;
  readonly multicastProblem: string | null;
  readonly observers: readonly {
    readonly peerId: string;
    readonly name: string | null;
    readonly path: 'direct' | 'relay';
    readonly rttMs: number;
    readonly saw: string | null;
  }[];
}

/** Looks at the network from this node, and at this node from the members it is linked with. Takes a few seconds at most. */
export async function checkNet(node: MeshNode): Promise<NetReport> {
  const { platform, mesh } = node;
  const { messenger, transport } = mesh;
  const parts = { messenger, transport, clock: platform.clock, udp: platform.udp };
  const [observations, probe, proxy, quic] = await Promise.all([
    observeSelf(parts),
    probeUdp(parts),
    checkProxy(node),
    mesh.transport.reach?.quic?.(),
    transport.confirm?.(), // Z5
  ]);
  const nameOf = (peerId: Parameters<typeof node.registry.node>[0]) =>
    node.registry.node(peerId)?.profile.name ?? null;
  const machine = platform.network?.();
  const udp = judgeUdp(probe.observations);
  const quicLinks = upLinks(node).filter(({ carrier }) => carrier === 'quic').length;
  return {
    listens: mesh.transport.addresses(),
    ipv4: familyOf(4, node, machine?.addresses ?? []),
    ipv6: familyOf(6, node, machine?.addresses ?? []),
    udp,
    mappingVaries: judgeMapping(probe.observations, probe.localPort ?? 0),
    portMapping: judgePortMapping(node.portMapping?.state ?? { step: 'off' }),
    quic: judgeQuic(quic, { udp, links: quicLinks }),
    seenAs: seenAs(observations.map(({ address }) => address)),
    reachability: mesh.reach?.reachability ?? 'unknown',
    isRelay: mesh.reach?.isRelay ?? false,
    relays: relaysOf(node),
    proxies: proxiesOf(platform.environment),
    proxy,
    multicastProblem: machine?.multicastProblem ?? null,
    observers: observations.map(({ peerId, path, rttMs, address }) => ({
      peerId,
      name: nameOf(peerId),
      path,
      rttMs,
      saw: address,
    })),
  };
}

/** Z5 */
function upLinks({ mesh }: MeshNode): readonly PeerLink[] {
  return mesh.transport.links().filter(({ isQuiet }) => isQuiet !== true);
}

function familyOf(family: 4 | 6, node: MeshNode, addresses: readonly InterfaceAddress[]): FamilyReport {
  const links = upLinks(node).filter(({ address }) => hostOf(address)?.family === family);
  return {
    hosts: addresses.filter((each) => each.family === family).map(({ host }) => host),
    links: links.length,
  };
}

function relaysOf(node: MeshNode): NetReport['relays'] {
  const links = new Map(upLinks(node).map((link) => [link.peerId, link]));
  return node.registry
    .nodes()
    .filter(({ peerId, profile, isAlive }) => peerId !== node.self && profile.isRelay === true && isAlive)
    .map(({ peerId, profile }) => ({
      peerId,
      name: profile.name,
      path: links.get(peerId)?.path ?? null,
      rttMs: links.get(peerId)?.rttMs ?? node.registry.rttTo(peerId) ?? null,
    }));
}
