import { runTool } from './tools.ts';

/** What the network does to packets that one machine receives. */
export interface Inbound {
  /** Numbers (from 0) of the machines whose packets are dropped. */
  readonly dropFrom?: readonly number[];
  /** Share of all packets that is dropped. Unit: percent, whole. */
  readonly lossPercent?: number;
}

/** The address that the LAN gives the machine of this number (from 0). */
export function addressOf(machine: number): string {
  return `10.77.0.${machine + 1}`;
}

/** The rules of one machine as a script for `nft -f`; replaces all earlier ones. */
export function rulesOf({ dropFrom = [], lossPercent = 0 }: Inbound): string {
  const drops = dropFrom.map((other) => `ip saddr ${addressOf(other)} drop`);
  if (lossPercent > 0) drops.push(`iif eth0 numgen random mod 100 < ${lossPercent} drop`);
  const lines = ['table inet lab', 'delete table inet lab'];
  if (drops.length > 0)
    lines.push('table inet lab {', 'chain in {', 'type filter hook input priority 0;', ...drops, '}', '}');
  return `${lines.join('\n')}\n`;
}

/** Both directions cut between the groups: who is in none of them is cut off from all. */
export function partition(machineCount: number, groups: readonly (readonly number[])[]): Inbound[] {
  return everyMachine(machineCount, (machine, other) =>
    groups.some((group) => group.includes(machine) && group.includes(other)),
  );
}

/** The machine `through` sees everybody, and nobody else sees anybody. */
export function bridge(machineCount: number, through: number): Inbound[] {
  return everyMachine(machineCount, (machine, other) => machine === through || other === through);
}

/** In a ring, each sees just enough neighbours to be in a majority, and no two see the same one. */
export function majoritiesRing(machineCount: number): Inbound[] {
  const reach = Math.ceil((Math.floor(machineCount / 2) + 1 - 1) / 2);
  return everyMachine(machineCount, (machine, other) => {
    const distance = Math.abs(machine - other);
    return Math.min(distance, machineCount - distance) <= reach;
  });
}

/** The machine is heard by all and hears nobody, or the other way round. */
export function oneWay(machineCount: number, machine: number, direction: 'deaf' | 'mute'): Inbound[] {
  return everyMachine(
    machineCount,
    (receiver, sender) => machine !== (direction === 'deaf' ? receiver : sender),
  );
}

function everyMachine(count: number, hears: (machine: number, other: number) => boolean): Inbound[] {
  const all = Array.from({ length: count }, (_, number) => number);
  return all.map((machine) => ({
    dropFrom: all.filter((other) => other !== machine && !hears(machine, other)),
  }));
}

/** Puts rules into the namespaces, in the order of the machines. */
export function apply(machines: readonly string[], inbound: readonly Inbound[]): void {
  for (const [number, machine] of machines.entries())
    runTool('ip', ['netns', 'exec', machine, 'nft', '-f', '-'], rulesOf(inbound[number] ?? {}));
}

/** Limits what each machine sends. Unit: kilobit a second. */
export function limitBandwidth(machines: readonly string[], kilobits: number): void {
  const filter = ['rate', `${kilobits}kbit`, 'burst', '16kb', 'latency', '400ms'];
  for (const machine of machines)
    runTool('ip', [
      'netns',
      'exec',
      machine,
      'tc',
      'qdisc',
      'replace',
      'dev',
      'eth0',
      'root',
      'tbf',
      ...filter,
    ]);
}

export function freeBandwidth(machines: readonly string[]): void {
  for (const machine of machines)
    runTool('ip', ['netns', 'exec', machine, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'root']);
}
