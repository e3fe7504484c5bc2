import { open, statfs, unlink } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import { availableMemory } from 'node:process';
import type { Compactor } from '../../storage/index.ts';
import type { Check, Finding } from '../doctor.ts';
import { readMachineNetwork } from '../net/os-machine-network.ts';
import { countOpenFiles, readFilesLimit } from '../os-process-facts.ts';
import {
  judgeFiles,
  judgeMemory,
  judgeMulticast,
  judgeSpace,
  judgeStore,
  judgeSyncs,
} from './check-rules.ts';

const SYNCS = 50;
const SYNC_BYTES = 300;
/** A slow disk is known to be slow after this. Unit: ms. */
const SYNC_WITHIN_MS = 4_000;
const PROBE_FILE = 'sync-probe';

/** What only this machine can tell. @param directory where the agent keeps its data. @param store how much of its store is in use. */
export function machineChecks(directory: string, store: Pick<Compactor, 'space'>): readonly Check[] {
  return [
    {
      name: 'disk',
      run: async () => [
        judgeSyncs(await measureSyncs(directory)),
        await spaceFinding(directory),
        ...storeFindings(store),
      ],
    },
    {
      name: 'memory',
      run: async () => [
        judgeMemory({ freeBytes: Math.max(freemem(), availableMemory()), totalBytes: totalmem() }),
      ],
    },
    { name: 'files', run: async () => [filesFinding()] },
    { name: 'network', run: async () => [judgeMulticast(readMachineNetwork().multicastProblem)] },
  ];
}

/** Appends and syncs a file of its own, as the log does. @returns how long each took, in ms. */
async function measureSyncs(directory: string): Promise<readonly number[]> {
  const path = join(directory, PROBE_FILE);
  const file = await open(path, 'w', 0o600);
  try {
    const bytes = Buffer.alloc(SYNC_BYTES, 1);
    const times: number[] = [];
    const begunMs = performance.now();
    while (times.length < SYNCS && performance.now() - begunMs < SYNC_WITHIN_MS) {
      const startedMs = performance.now();
      await file.write(bytes);
      await file.datasync();
      times.push(performance.now() - startedMs);
    }
    return times;
  } finally {
    await file.close();
    await unlink(path);
  }
}

function storeFindings(store: Pick<Compactor, 'space'>): readonly Finding[] {
  const space = store.space();
  return space === undefined ? [] : [judgeStore(space)];
}

async function spaceFinding(directory: string): Promise<Finding> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return judgeSpace({ freeBytes: bavail * bsize, totalBytes: blocks * bsize });
}

function filesFinding(): Finding {
  return judgeFiles({ open: countOpenFiles(), soft: readFilesLimit() });
}
