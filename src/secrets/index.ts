export {
  type AttemptSecrets,
  DIRECTORY_VARIABLE,
  fromSealedText,
  isSecretFileName,
  type OpenedSecrets,
  type SealedText,
  type SecretOpener,
  SecretUnreadable,
  toSealedText,
} from './attempt-secrets.ts';
export { MASK, MASKED_LEAST_BYTES, Masker } from './masker.ts';
export {
  isReference,
  isSecretName,
  REFERENCES_LIMIT,
  SECRET_BYTES_LIMIT,
  secretNameOf,
  secretsInShellPayload,
} from './references.ts';
export {
  type Grant,
  openDataKey,
  openSecret,
  type Recipient,
  type SealedForNode,
  type SealedSecret,
  type SealingComponents,
  sealSecret,
  wrapKey,
} from './sealing.ts';
