import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MachinePower, machinePowerOf, type PowerSupply } from './power.ts';

const SUPPLIES = '/sys/class/power_supply';

/** What this machine runs on now, and what is left of it; null where the system does not tell. */
export function readPower(directory: string = SUPPLIES): MachinePower {
  return machinePowerOf(namesIn(directory).map((name) => readSupply(join(directory, name))));
}

function readSupply(path: string): PowerSupply {
  return {
    type: read(path, 'type') ?? '',
    status: read(path, 'status'),
    isOnline: read(path, 'online') === '1',
    scope: read(path, 'scope'),
    capacityPercent: percentOf(read(path, 'capacity')),
  };
}

/** Drivers say 0 to 100; some are known to say more of a full battery. */
function percentOf(text: string | null): number | null {
  return text !== null && /^\d{1,3}$/.test(text) ? Math.min(100, Number(text)) : null;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // not Linux, or hidden from a container: then nothing is known
  }
}

/** Drivers leave out what they do not know, and a battery may be pulled out while it is read. */
function read(path: string, name: string): string | null {
  try {
    return readFileSync(join(path, name), 'utf8').trim();
  } catch {
    return null;
  }
}
