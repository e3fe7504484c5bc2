import type { Mesh } from '../../mesh/index.ts';
import type { AgentConfig } from '../config.ts';
import type { Platform } from '../platform.ts';
import { FirstOpener } from './first-opener.ts';
import { GatewayClient } from './gateway-client.ts';
import { PortMapping } from './port-mapping.ts';
import { UpnpClient } from './upnp-client.ts';

/** @returns undefined where the owner wants none, or says where this node is reached, and where there is no router to be asked. */
export function portMappingOf(
  { platform, mesh }: { readonly platform: Platform; readonly mesh: Mesh },
  { portMapping, announce }: AgentConfig,
): PortMapping | undefined {
  const { clock, random, logger, udp, gateway, gatewayHttp } = platform;
  const { transport } = mesh;
  const { knocking } = transport;
  if (portMapping === 'off' || announce.length > 0) return undefined;
  if (udp === undefined || gateway === undefined || knocking === undefined) return undefined;
  return new PortMapping({
    opener: new FirstOpener([
      new GatewayClient({ udp, clock, random }),
      ...(gatewayHttp === undefined ? [] : [new UpnpClient({ udp, http: gatewayHttp, clock })]),
    ]),
    gateway,
    listens: () => transport.addresses(),
    confirm: (address, signal) => mesh.dialBack.confirm(address, signal),
    tell: (addresses) => knocking.tellAlso(addresses),
    clock,
    random,
    log: logger,
  });
}
