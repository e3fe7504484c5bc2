import { accessSync, constants, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OsCrypto } from '../base/os-crypto.ts';
import {
  type AttemptSecrets,
  DIRECTORY_VARIABLE,
  fromSealedText,
  isSecretFileName,
  type OpenedSecrets,
  type SealedText,
  type SecretOpener,
  SecretUnreadable,
} from './attempt-secrets.ts';
import { readPrivateKey } from './os-sealing-key.ts';
import { openSecret } from './sealing.ts';

/** A file system in memory, on Linux: what lies there is on no disk. */
const MEMORY_DIRECTORY = '/dev/shm';
const PREFIX = 'aspen-secrets-';
const OWNER_ONLY_FILE = 0o600;

export interface OsSecretOpenerOptions {
  readonly dataDirectory: string;
  /** Names this process in a way that no later one is named; letters, digits and `_`. */
  readonly owner: string;
}

/** Opens secrets with the key of this machine, for as long as a process needs them. */
export class OsSecretOpener implements SecretOpener {
  readonly #crypto = new OsCrypto();
  readonly #options: OsSecretOpenerOptions;
  #isOutOfCoreDumps = false;

  constructor(options: OsSecretOpenerOptions) {
    this.#options = options;
  }

  open({ peerId, env, files }: AttemptSecrets): OpenedSecrets {
    this.#keepOutOfCoreDumps();
    const privateKey = readPrivateKey(this.#options.dataDirectory);
    if (privateKey === undefined) throw new SecretUnreadable('this machine has no key to open secrets with');
    const opened = (sealed: SealedText): Uint8Array => {
      const value = openSecret(this.#crypto, privateKey, { ...fromSealedText(sealed), peerId });
      if (value !== undefined) return value;
      throw new SecretUnreadable(
        `secret "${sealed.name}" is not sealed to the present key of this machine; set its value again, or: aspen-agent secret rotate ${sealed.name} --keep-value`,
      );
    };
    try {
      const variables = Object.entries(env).map(([name, sealed]) => [name, opened(sealed), sealed] as const);
      const contents = Object.entries(files).map(([name, sealed]) => [name, opened(sealed)] as const);
      const texts = variables.map(([name, value, sealed]) => [name, textOf(value, sealed.name)] as const);
      const values = [...variables, ...contents].map(([, value]) => value);
      if (contents.length === 0) return { env: Object.fromEntries(texts), values, close: () => undefined };
      const directory = this.#write(contents);
      return {
        env: { ...Object.fromEntries(texts), [DIRECTORY_VARIABLE]: directory },
        values,
        close: () => rmSync(directory, { recursive: true, force: true }),
      };
    } finally {
      privateKey.fill(0);
    }
  }

  /** What is opened is in the memory of this process and of those it begins, which inherit this. Other systems have no such switch. */
  #keepOutOfCoreDumps(): void {
    if (this.#isOutOfCoreDumps || process.platform !== 'linux') return;
    writeFileSync('/proc/self/coredump_filter', '0');
    this.#isOutOfCoreDumps = true;
  }

  #write(contents: readonly (readonly [name: string, value: Uint8Array])[]): string {
    const directory = mkdtempSync(join(privateRoot(), `${PREFIX}${this.#options.owner}-`)); // 0700
    try {
      for (const [name, value] of contents) {
        if (!isSecretFileName(name))
          throw new SecretUnreadable(`"${name}" is no name for a file of a secret`);
        writeFileSync(join(directory, name), value, { mode: OWNER_ONLY_FILE, flag: 'wx' });
      }
      return directory;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }
}

/**
 * Removes the files of supervisors that were killed.
 * @param isAlive whether the process that named itself so still runs.
 */
export function clearSecretFiles(isAlive: (owner: string) => boolean): void {
  const root = privateRoot();
  for (const name of readdirSync(root)) {
    const [, owner] = /^aspen-secrets-([A-Za-z0-9_]+)-/.exec(name) ?? [];
    if (owner === undefined || isAlive(owner)) continue;
    try {
      rmSync(join(root, name), { recursive: true, force: true });
    } catch (error) {
      if (
        (error as NodeJS.ErrnoException).code !== 'EACCES' &&
        (error as NodeJS.ErrnoException).code !== 'EPERM'
      )
        throw error; // of another user
    }
  }
}

function privateRoot(): string {
  try {
    accessSync(MEMORY_DIRECTORY, constants.W_OK);
    return MEMORY_DIRECTORY;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return tmpdir();
  }
}

/** @throws SecretUnreadable for what no variable can hold. */
function textOf(value: Uint8Array, name: string): string {
  const text = Buffer.from(value).toString('utf8');
  if (!text.includes('\0') && Buffer.from(text).equals(Buffer.from(value))) return text;
  throw new SecretUnreadable(
    `secret "${name}" is no text that a variable can hold; give it as a file (secretFiles)`,
  );
}
