import { z } from 'zod';
import { AspenError, type Random } from '../base/index.ts';

/** What this version writes. A directory with a newer one is left alone. */
export const FORMAT_VERSION = 4;

/** Names that belong to the directory itself. */
export const DIRECTORY_FILES = {
  format: 'format.json',
  node: 'node.json',
  identity: 'identity',
  store: 'store',
  blobs: 'blobs',
  audit: 'audit',
  socket: 'agent.sock',
} as const;

/** Files of other parts, e.g. `mesh`: lower case, so that they mean the same on file systems that ignore case. */
const FILE_NAME = /^[a-z][a-z0-9-]{0,62}(\.[a-z0-9]{1,8})?$/;
const SEED_BYTES = 32;
const INCARNATION_BYTES = 16;

/**
 * One agent's place on disk, held until disposed: nobody else opens it meanwhile.
 *
 * - F1: at most one process holds a directory.
 * - F2: the boot counter is larger on disk than at every earlier open before `open` returns.
 * - F3: the incarnation is drawn anew at the first start and when the machine or the directory is not the one it was drawn on, so that
 *   a copy never speaks as the original.
 * - F4: the identity is drawn once and never overwritten.
 * - F5: a file is there whole, old or new, at any moment.
 */
export interface DataDirectory extends AsyncDisposable {
  readonly path: string;
  /** Where the agent listens for local clients. */
  readonly socketPath: string;
  readonly storePath: string;
  /** 32 secret bytes from which the node's keys are derived. */
  readonly seed: Uint8Array;
  /** 32 hex digits. */
  readonly incarnation: string;
  /** 1 at the first open. */
  readonly bootCount: number;
  /** What the files are written in; below {@link FORMAT_VERSION} until they are migrated. */
  readonly formatVersion: number;
  /** For a node that lost its memory: nobody takes it for the one that had it. @returns the new incarnation. */
  renewIncarnation(): Promise<string>;
  /** @returns undefined when there is no such file. @throws AspenError DENIED when it cannot be read. */
  readFile(name: string): Promise<Uint8Array | undefined>;
  /** Durable when it resolves. */
  writeFileAtomic(name: string, bytes: Uint8Array): Promise<void>;
  /** Does nothing when there is no such file; durable when it resolves. */
  removeFile(name: string): Promise<void>;
}

/** Whole files by name, each replaced at once and durable when the promise resolves. */
export interface FileBox {
  read(name: string): Promise<Uint8Array | undefined>;
  writeAtomic(name: string, bytes: Uint8Array): Promise<void>;
}

export interface BootComponents {
  readonly files: FileBox;
  readonly random: Random;
  /** Names this machine and this directory; a copy elsewhere has another one. */
  readonly machine: string;
  /** The directory, for messages. */
  readonly path: string;
}

export interface Boot {
  readonly seed: Uint8Array;
  readonly incarnation: string;
  readonly bootCount: number;
  readonly formatVersion: number;
}

const formatSchema = z.object({ formatVersion: z.int().min(1), isPrepared: z.boolean().optional() });
const nodeSchema = z.object({
  incarnation: z.string().regex(/^[0-9a-f]{32}$/),
  bootCount: z.int().min(1),
  machine: z.string(),
});
type NodeRecord = z.infer<typeof nodeSchema>;

/**
 * Brings a directory that is held already to the point where an agent may run on it.
 * @throws AspenError CONFLICT for a newer format, INTERNAL for a damaged file; nothing is changed then.
 */
export async function bootDirectory({ files, random, machine, path }: BootComponents): Promise<Boot> {
  const format = await readFormat(files, path);
  const previous = await readJson(files, path, DIRECTORY_FILES.node, nodeSchema);
  if (format === undefined) await writeJson(files, DIRECTORY_FILES.format, { formatVersion: FORMAT_VERSION });
  const seed = await readOrDrawSeed(files, path, random);
  const record = nextBoot(previous, { machine, random });
  await writeJson(files, DIRECTORY_FILES.node, record);
  return {
    seed,
    incarnation: record.incarnation,
    bootCount: record.bootCount,
    formatVersion: format?.formatVersion ?? FORMAT_VERSION,
  };
}

/** Draws the incarnation anew in a directory that was opened already. */
export async function redrawIncarnation({
  files,
  random,
  path,
}: Omit<BootComponents, 'machine'>): Promise<string> {
  const record = await readJson(files, path, DIRECTORY_FILES.node, nodeSchema);
  if (record === undefined) throw new AspenError('INTERNAL', `${path}/${DIRECTORY_FILES.node} is gone`);
  const incarnation = drawIncarnation(random);
  await writeJson(files, DIRECTORY_FILES.node, { ...record, incarnation });
  return incarnation;
}

/** The record of this start, from that of the last one. */
export function nextBoot(
  previous: NodeRecord | undefined,
  { machine, random }: { readonly machine: string; readonly random: Random },
): NodeRecord {
  const isSame = previous?.machine === machine;
  return {
    incarnation: isSame ? previous.incarnation : drawIncarnation(random),
    bootCount: (previous?.bootCount ?? 0) + 1,
    machine,
  };
}

function drawIncarnation(random: Random): string {
  return Buffer.from(random.bytes(INCARNATION_BYTES)).toString('hex');
}

/** @throws AspenError INVALID_PARAMS for a name that could leave the directory or belongs to it. */
export function checkFileName(name: string): void {
  const isReserved = Object.values<string>(DIRECTORY_FILES).includes(name) || name.startsWith('lock');
  if (!FILE_NAME.test(name) || isReserved) {
    throw new AspenError('INVALID_PARAMS', `"${name}" cannot be the name of a file in the data directory`);
  }
}

export interface DefaultPathFacts {
  readonly platform: string;
  readonly homeDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Where an agent keeps its data when nobody says otherwise. */
export function defaultDataDirectoryPath({ platform, homeDirectory, environment }: DefaultPathFacts): string {
  const chosen = environment['ASPEN_DATA_DIR'];
  if (chosen) return chosen;
  if (platform === 'darwin') return `${homeDirectory}/Library/Application Support/Aspen`;
  if (platform === 'win32') {
    return `${environment['LOCALAPPDATA'] || `${homeDirectory}\\AppData\\Local`}\\Aspen`;
  }
  return `${environment['XDG_DATA_HOME'] || `${homeDirectory}/.local/share`}/aspen`;
}

/** How far a migration has come; steps are recorded here, so that a crash in the middle of one is gone on from. */
export interface FormatRecord {
  readonly formatVersion: number;
  /** The step from this version has prepared everything, and only its end is missing. */
  readonly isPrepared?: boolean | undefined;
}

/** @returns undefined when the directory has no format yet. @throws AspenError CONFLICT when a newer agent wrote it. */
export async function readFormat(files: FileBox, path: string): Promise<FormatRecord | undefined> {
  const format = await readJson(files, path, DIRECTORY_FILES.format, formatSchema);
  if (format === undefined || format.formatVersion <= FORMAT_VERSION) return format;
  const { formatVersion } = format;
  throw new AspenError(
    'CONFLICT',
    `${path} has format version ${formatVersion}, and this agent knows versions up to ${FORMAT_VERSION}: start the newer agent that wrote it, or choose another data directory`,
    { details: { current: { formatVersion, knownVersion: FORMAT_VERSION } } },
  );
}

export function writeFormat(files: FileBox, record: FormatRecord): Promise<void> {
  return writeJson(files, DIRECTORY_FILES.format, record);
}

async function readOrDrawSeed(files: FileBox, path: string, random: Random): Promise<Uint8Array> {
  const kept = await files.read(DIRECTORY_FILES.identity);
  if (kept === undefined) {
    const seed = random.bytes(SEED_BYTES);
    await files.writeAtomic(DIRECTORY_FILES.identity, seed);
    return seed;
  }
  if (kept.length !== SEED_BYTES) {
    throw new AspenError(
      'INTERNAL',
      `${path}/${DIRECTORY_FILES.identity} has ${kept.length} bytes instead of ${SEED_BYTES}; restore it from a backup, or join again from an empty directory`,
    );
  }
  return new Uint8Array(kept);
}

async function readJson<T>(
  files: FileBox,
  path: string,
  name: string,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const bytes = await files.read(name);
  if (bytes === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw new AspenError('INTERNAL', `${path}/${name} is damaged (${bytes.length} bytes)`, { cause });
  }
}

function writeJson(files: FileBox, name: string, value: object): Promise<void> {
  return files.writeAtomic(name, new Uint8Array(Buffer.from(`${JSON.stringify(value)}\n`)));
}
