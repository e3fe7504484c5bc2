import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AspenError } from '../base/index.ts';
import { OsClock } from '../base/os-clock.ts';
import { OsCrypto } from '../base/os-crypto.ts';
import { OsRandom } from '../base/os-random.ts';
import { BackupDecoder, type BackupFrame, type BackupHeader, RestoredStore } from '../lease/index.ts';
import { createIdentity } from '../mesh/index.ts';
import { BIRTH_KEY, CheckedStore } from '../storage/index.ts';
import { openLmdbStore } from '../storage/lmdb-store.ts';
import { openOsDataDirectory } from '../storage/os-data-directory.ts';
import { foundMesh } from './founding.ts';
import { encodeMembership } from './membership.ts';

export interface RestoreRequest {
  readonly file: string;
  readonly dataDir: string;
  /** Look at the backup and say what would be done. */
  readonly isDryRun: boolean;
  /** Told now and then. Unit: bytes of the file read so far. */
  readonly onProgress: (progress: { readonly phase: 'check' | 'write'; readonly bytes: number }) => void;
}

export interface Restored {
  readonly header: BackupHeader;
  readonly recordCount: number;
  readonly bytes: number;
  /** Of the mesh that begins; null in a dry run. */
  readonly meshId: string | null;
  readonly peerId: string | null;
  readonly epoch: number;
}

const MESH_FILE = 'mesh';
/** `aspen.yaml` may be put there before the agent first starts. */
const WELCOME_FILES = ['aspen.yaml'];

/**
 * Makes a data directory out of a backup: the only voter of a new mesh that has everything the old one had agreed on but its members, its
 * tickets and its root key. The whole file is checked before anything is made.
 * @throws AspenError CONFLICT for a damaged backup or a directory that is not empty; NOT_FOUND when there is no file.
 */
export async function restoreBackup(request: RestoreRequest): Promise<Restored> {
  const { file, dataDir, isDryRun, onProgress } = request;
  const checked = await checkBackup(file, (bytes) => onProgress({ phase: 'check', bytes }));
  await requireEmpty(dataDir);
  const { header } = checked;
  if (isDryRun) return { ...checked, meshId: null, peerId: null, epoch: header.epoch + 1 };
  return { ...checked, ...(await write(request, header)) };
}

async function checkBackup(
  file: string,
  onBytes: (bytes: number) => void,
): Promise<Pick<Restored, 'header' | 'recordCount' | 'bytes'>> {
  let header: BackupHeader | undefined;
  let recordCount = 0;
  const bytes = await eachFrame(file, onBytes, async (frame) => {
    if (frame.kind === 'header') header = frame.header;
    if (frame.kind === 'end') recordCount = frame.recordCount;
  });
  if (header === undefined) throw new AspenError('CONFLICT', `${file} is empty`);
  return { header, recordCount, bytes };
}

async function write({ file, dataDir, onProgress }: RestoreRequest, header: BackupHeader) {
  const random = new OsRandom();
  const crypto = new OsCrypto();
  await using directory = await openOsDataDirectory(dataDir, { random });
  const { peerId } = createIdentity(crypto, directory.seed);
  await using store = new CheckedStore({ store: openLmdbStore(directory.storePath) });
  const restored = new RestoredStore(store, header);
  await eachFrame(
    file,
    (bytes) => onProgress({ phase: 'write', bytes }),
    async (frame) => {
      if (frame.kind === 'records') await restored.add(frame.records);
    },
  );
  const epoch = await restored.finish(peerId);
  await store.write([{ type: 'put', key: BIRTH_KEY, value: Uint8Array.of(1) }]);
  const membership = foundMesh({ crypto, random, clock: new OsClock(), directory });
  await directory.writeFileAtomic(MESH_FILE, encodeMembership(membership)); // last: without it the agent would found an empty mesh
  return { meshId: membership.meshId as string, peerId: peerId as string, epoch };
}

/** @returns the size of the file. */
async function eachFrame(
  file: string,
  onBytes: (bytes: number) => void,
  onFrame: (frame: BackupFrame) => Promise<void>,
): Promise<number> {
  const decoder = new BackupDecoder();
  let bytes = 0;
  try {
    for await (const piece of createReadStream(file, { highWaterMark: 2 ** 20 })) {
      for (const frame of decoder.push(piece as Buffer)) await onFrame(frame);
      bytes += (piece as Buffer).length;
      onBytes(bytes);
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new AspenError('NOT_FOUND', `there is no file ${file}`, { cause });
    if (code === 'EACCES' || code === 'EISDIR')
      throw new AspenError('DENIED', `cannot read ${file}: ${message}`, { cause });
    throw cause;
  }
  decoder.end();
  return bytes;
}

async function requireEmpty(dataDir: string): Promise<void> {
  const path = resolve(dataDir);
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new AspenError('DENIED', `cannot look into ${path}: ${error.message}`, { cause: error });
  });
  const foreign = names.filter((name) => !WELCOME_FILES.includes(name));
  if (foreign.length === 0) return;
  throw new AspenError(
    'CONFLICT',
    `${path} is not empty (${foreign.slice(0, 3).join(', ')}): a backup is restored into a new data directory; choose another --data-dir, or move ${join(path, String(foreign[0]))} and the rest away`,
  );
}
