import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Crypto } from '../base/index.ts';

/** The private half of a node's sealing key: 32 bytes, which supervisors read, and the agent does not. */
export const PRIVATE_KEY_FILE = 'sealing.key';
const PUBLIC_KEY_FILE = 'sealing.pub';
const OWNER_ONLY_FILE = 0o600;
const KEY_BYTES = 32;

/**
 * The key to which secrets are sealed for this node, drawn once. An agent that finds both halves reads the public one only.
 * @returns X25519, 32 bytes. @throws Error when the directory cannot be read or written.
 */
export function readSealingKey(directory: string, crypto: Pick<Crypto, 'sealingPublicKey'>): Uint8Array {
  const known = readKey(join(directory, PUBLIC_KEY_FILE));
  if (known !== undefined) return known;
  const path = join(directory, PRIVATE_KEY_FILE);
  const found = readKey(path);
  const privateKey = found ?? new Uint8Array(randomBytes(KEY_BYTES));
  if (found === undefined) writeKey(path, privateKey);
  const publicKey = crypto.sealingPublicKey(privateKey);
  privateKey.fill(0);
  writeKey(join(directory, PUBLIC_KEY_FILE), publicKey);
  return publicKey;
}

/** @returns undefined when there is none. */
export function readPrivateKey(directory: string): Uint8Array | undefined {
  return readKey(join(directory, PRIVATE_KEY_FILE));
}

/** @throws Error naming the file when it is not a key. */
function readKey(path: string): Uint8Array | undefined {
  try {
    const bytes = new Uint8Array(readFileSync(path));
    if (bytes.length === KEY_BYTES) return bytes;
    throw new Error(`${path} is no key: it has ${bytes.length} bytes instead of ${KEY_BYTES}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** There whole or not at all, at any moment. */
function writeKey(path: string, key: Uint8Array): void {
  const next = `${path}.${randomBytes(4).toString('hex')}.new`;
  const fd = openSync(next, 'wx', OWNER_ONLY_FILE);
  try {
    writeSync(fd, key);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(next, path);
}
