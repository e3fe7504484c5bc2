const SCHEME = 'secret://';
const NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/;

/** Secrets that one job may name. */
export const REFERENCES_LIMIT = 64;
/** Longest value of a secret. Unit: bytes. */
export const SECRET_BYTES_LIMIT = 64 * 1024;

export function isSecretName(name: string): boolean {
  return NAME.test(name);
}

/** Whether a text is meant as a reference, well-formed or not. */
export function isReference(text: string): boolean {
  return text.startsWith(SCHEME);
}

/** @returns the name in `secret://NAME`; undefined for any other text. */
export function secretNameOf(text: string): string | undefined {
  const name = isReference(text) ? text.slice(SCHEME.length) : '';
  return NAME.test(name) ? name : undefined;
}

/** @returns the names of secrets in the payload of a shell job, each once, in order; of anything else none. */
export function secretsInShellPayload(payload: unknown): readonly string[] {
  if (typeof payload !== 'object' || payload === null) return NONE;
  const { env, secretFiles } = payload as { readonly env?: unknown; readonly secretFiles?: unknown };
  if (env === undefined && secretFiles === undefined) return NONE;
  const texts = [...textsOf(env), ...textsOf(secretFiles)];
  const names = texts.flatMap((text) => secretNameOf(text) ?? []);
  return names.length === 0 ? NONE : [...new Set(names)].sort();
}

const NONE: readonly string[] = [];

function textsOf(map: unknown): readonly string[] {
  if (typeof map !== 'object' || map === null) return NONE;
  return Object.values(map).filter((value) => typeof value === 'string');
}
