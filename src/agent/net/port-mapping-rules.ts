import type { Gateway } from './default-gateway.ts';
import type { GatewayKind } from './gateway-client.ts';
import type { Judged } from './net-rules.ts';

/** Which port of which machine a router is asked to open. */
export interface MappingWish {
  readonly gateway: string;
  readonly localHost: string;
  readonly localPort: number;
}

/** What became of it, for people and for the report. */
export type MappingState =
  | { readonly step: 'off' }
  | { readonly step: 'needless'; readonly reason: string }
  | { readonly step: 'asking' }
  | { readonly step: 'refused'; readonly reason: string }
  | {
      readonly step: 'opened' | 'confirmed' | 'not-reached' | 'not-outside';
      readonly address: string;
      readonly kind: GatewayKind;
    };

/** @param listens multiaddrs of this node's own interfaces. @returns undefined when no router has to be asked. */
export function wishOf(gateway: Gateway | undefined, listens: readonly string[]): MappingWish | undefined {
  if (gateway === undefined) return undefined;
  for (const address of listens) {
    const [, kind, host, carrier, port, ...rest] = address.split('/');
    if (kind === 'ip4' && host === gateway.localHost && carrier === 'tcp' && rest.length === 0)
      return { gateway: gateway.host, localHost: host, localPort: Number(port) };
  }
  return undefined;
}

export function judgePortMapping(state: MappingState): Judged {
  switch (state.step) {
    case 'off':
      return { isSo: null, detail: 'off: no router is asked for a port' };
    case 'needless':
      return { isSo: null, detail: `not asked for: ${state.reason}` };
    case 'asking':
      return { isSo: null, detail: 'the router is being asked for a port' };
    case 'refused':
      return { isSo: false, detail: state.reason };
    case 'opened':
      return {
        isSo: null,
        detail: `${state.address} by ${state.kind}; no member that could come has been asked yet`,
      };
    case 'not-reached':
      return {
        isSo: false,
        detail: `${state.address} was opened by ${state.kind}, and no member that was asked came through`,
      };
    case 'not-outside':
      return {
        isSo: false,
        detail: `the router itself is behind another one: it opened ${state.address} by ${state.kind}`,
      };
    case 'confirmed':
      return { isSo: true, detail: `${state.address} by ${state.kind}, a member came through` };
  }
}
