import { arch, availableParallelism, hostname, platform, totalmem } from 'node:os';

const GIB = 2 ** 30;

/** What this machine is, as labels without a prefix. Memory is in whole GiB, rounded: firmware keeps a part of it for itself. */
export function readMachineLabels(): Readonly<Record<string, string>> {
  return {
    os: platform(),
    arch: arch(),
    cpus: String(availableParallelism()),
    memoryGiB: String(Math.round(totalmem() / GIB)),
    hostname: hostname().slice(0, 256),
  };
}
