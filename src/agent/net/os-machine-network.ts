import { networkInterfaces } from 'node:os';
import { multicastProblem } from '../../discovery/index.ts';
import { readNetworkFacts } from '../../discovery/os-network-facts.ts';
import type { InterfaceAddress, MachineNetwork } from './network-facts.ts';

/** Reads what this machine says about its network now. */
export function readMachineNetwork(): MachineNetwork {
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, found]) =>
    (found ?? []).flatMap(({ family, address, internal }): InterfaceAddress[] =>
      internal || isLinkLocal(address)
        ? []
        : [{ interface: name, family: family === 'IPv6' ? 6 : 4, host: address }],
    ),
  );
  return { addresses, multicastProblem: multicastProblem(readNetworkFacts()) };
}

function isLinkLocal(host: string): boolean {
  return /^fe[89ab]/i.test(host) || host.startsWith('169.254.');
}
