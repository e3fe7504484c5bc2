import { networkInterfaces } from 'node:os';
import { multicastProblem } from '../../discovery/index.ts';
import { readNetworkFacts, readRouteTable } from '../../discovery/os-network-facts.ts';
import { defaultGateway, type Gateway } from './default-gateway.ts';
import type { InterfaceAddress, MachineNetwork } from './network-facts.ts';
import { networkMarkOf } from './network-mark.ts';

/** Reads what this machine says about its network now. */
export function readMachineNetwork(): MachineNetwork {
  return { addresses: readAddresses(), multicastProblem: multicastProblem(readNetworkFacts()) };
}

/** @returns another text when this machine is in another network. Two cheap reads: asked every second. */
export function readNetworkMark(): string {
  return networkMarkOf(readAddresses(), readRouteTable());
}

/** @returns the router of this machine, where it may have to be asked for a port. */
export function readGateway(): Gateway | undefined {
  return defaultGateway(readRouteTable(), readAddresses());
}

function readAddresses(): InterfaceAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, found]) =>
    (found ?? []).flatMap(({ family, address, internal }): InterfaceAddress[] =>
      internal || isLinkLocal(address)
        ? []
        : [{ interface: name, family: family === 'IPv6' ? 6 : 4, host: address }],
    ),
  );
}

function isLinkLocal(host: string): boolean {
  return /^fe[89ab]/i.test(host) || host.startsWith('169.254.');
}
