import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nemesis } from '../nemesis.ts';

const JUMPS = ['+3600', '-7200', '+0'] as const;

/** The leader's wall clock jumps an hour ahead, two hours back, and home; its monotonic clock goes on. */
const clockJump: Nemesis = {
  name: 'clock-jump',
  needs: ({ clockFiles }) =>
    clockFiles === undefined ? 'libfaketime (apt-get install faketime)' : undefined,
  run: async ({ clockFiles, leaderNumber, faultMs, pause }) => {
    const file = clockFiles?.[leaderNumber] as string;
    try {
      for (const offset of JUMPS) {
        writeFileSync(file, `${offset}\n`);
        await pause(faultMs / JUMPS.length);
      }
    } finally {
      writeFileSync(file, '+0\n');
    }
  },
};

/** A disk that is filled to the last block, and has space again; an agent that ended of it is started again. */
const diskFull: Nemesis = {
  name: 'disk-full',
  needs: ({ smallDisk }) => (smallDisk === undefined ? 'the right to mount a tmpfs' : undefined),
  run: async ({ smallDisk, faultMs, pause }) => {
    if (smallDisk === undefined) return;
    const { agent, directory } = smallDisk;
    const ballast = join(directory, 'ballast');
    try {
      fill(directory, ballast);
      await pause(faultMs);
    } finally {
      rmSync(ballast, { force: true });
    }
    if (!agent.isRunning) await agent.up();
  },
};

export const machineNemeses: readonly Nemesis[] = [clockJump, diskFull];

/** To the last block: what is free after the first write is written too. */
function fill(directory: string, ballast: string): void {
  const { bavail, bsize } = statfsSync(directory);
  try {
    writeFileSync(ballast, Buffer.alloc(bavail * bsize));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error; // full is what was asked for
  }
}
