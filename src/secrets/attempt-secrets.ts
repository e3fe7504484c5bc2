import type { SealedForNode } from './sealing.ts';

/** A sealed secret as it travels in JSON: bytes in base64. */
export interface SealedText {
  readonly name: string;
  readonly id: string;
  readonly box: string;
  readonly wrap: string;
}

/** The secrets of one attempt, sealed to the node that runs it: all that the agent ever holds of them. */
export interface AttemptSecrets {
  /** The node. */
  readonly peerId: string;
  /** By the variable that is to have the value. */
  readonly env: Readonly<Record<string, SealedText>>;
  /** By the name of the file. */
  readonly files: Readonly<Record<string, SealedText>>;
}

/** What an attempt is given in clear; it never leaves the supervisor and the job's own processes. */
export interface OpenedSecrets {
  readonly env: Readonly<Record<string, string>>;
  /** To be masked in what the job writes. */
  readonly values: readonly Uint8Array[];
  /** Removes the files. To be called when no process of the attempt is left. */
  close(): void;
}

/** Opens what is sealed to this node. */
export interface SecretOpener {
  /** @throws SecretUnreadable naming the secret and the way out; nothing is left behind then. */
  open(secrets: AttemptSecrets): OpenedSecrets;
}

export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable';
}

/** The variable that names the directory with the files. */
export const DIRECTORY_VARIABLE = 'ASPEN_SECRETS_DIR';
/** Names of files: one part of a path, so that none leads out of the directory. */
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

export function isSecretFileName(name: string): boolean {
  return FILE_NAME.test(name);
}

export function toSealedText({ name, id, box, wrap }: SealedForNode): SealedText {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return { name, id, box: text(box), wrap: text(wrap) };
}

export function fromSealedText({ name, id, box, wrap }: SealedText): SealedForNode {
  return { name, id, box: Buffer.from(box, 'base64'), wrap: Buffer.from(wrap, 'base64') };
}
