import type { PeerId } from '../../base/index.ts';
import {
  type AttemptSecrets,
  type SealedForNode,
  type SealedText,
  secretNameOf,
  toSealedText,
} from '../../secrets/index.ts';
import type { ExecutionResult } from './executor.ts';
import type { ShellPayload } from './shell-payload.ts';

/** Where a node has its secrets from, each sealed to it. */
export interface SecretSource {
  /** @returns one for each name; null for one that is unknown or not granted to this node. @throws AspenError as a question to the group. */
  openings(names: readonly string[]): Promise<readonly (SealedForNode | null)[]>;
}

/** The code of an attempt on a node that may not read a secret it was to be given. */
export const SECRET_NOT_GRANTED = 'SECRET_NOT_GRANTED';

/** @returns the names of the secrets in a payload, each once. */
export function namesOfSecrets({ env, secretFiles }: ShellPayload): readonly string[] {
  const texts = [...Object.values(env), ...Object.values(secretFiles)];
  return [...new Set(texts.flatMap((text) => secretNameOf(text) ?? []))];
}

/** The variables of a payload that are no secrets. */
export function plainVariables(env: ShellPayload['env']): Readonly<Record<string, string>> {
  const entries = Object.entries(env);
  if (entries.every(([, text]) => secretNameOf(text) === undefined)) return env;
  return Object.fromEntries(entries.filter(([, text]) => secretNameOf(text) === undefined));
}

/**
 * What the supervisor is to open for an attempt: this process has it sealed, and nothing else.
 * @returns why the attempt cannot be begun when the group does not give one of them to this node.
 */
export async function sealedFor(
  payload: ShellPayload,
  {
    names,
    node,
    source,
  }: { readonly names: readonly string[]; readonly node: PeerId; readonly source: SecretSource },
): Promise<AttemptSecrets | ExecutionResult> {
  const openings = await source.openings(names);
  const lacking = names.filter((_, at) => openings[at] == null);
  if (lacking.length > 0) return notGranted(lacking);
  const texts = new Map(
    openings.flatMap((one) => (one === null ? [] : [[one.name, toSealedText(one)] as const])),
  );
  const sealedIn = (map: Readonly<Record<string, string>>): Readonly<Record<string, SealedText>> =>
    Object.fromEntries(
      Object.entries(map).flatMap(([key, text]) => {
        const sealed = texts.get(secretNameOf(text) ?? '');
        return sealed === undefined ? [] : [[key, sealed] as const];
      }),
    );
  return { peerId: node, env: sealedIn(payload.env), files: sealedIn(payload.secretFiles) };
}

/** Another node may have what this one has lost since the job was given to it. */
function notGranted(names: readonly string[]): ExecutionResult {
  const message = `this node may not read secret ${names.join(', ')} any more`;
  return { ok: false, error: { code: SECRET_NOT_GRANTED, message, retryable: true }, result: null };
}
