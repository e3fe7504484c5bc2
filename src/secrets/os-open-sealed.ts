import { AspenError, type Crypto } from '../base/index.ts';
import { readPrivateKey } from './os-sealing-key.ts';
import { openSecret, type SealedForNode } from './sealing.ts';

/**
 * Opens what this machine itself needs in clear, with the key read for this once.
 * @throws AspenError DENIED naming the secret when it is not sealed to the present key of this machine.
 */
export function openSealed(
  directory: string,
  sealed: SealedForNode & { readonly peerId: string },
  crypto: Crypto,
): Uint8Array {
  const privateKey = readPrivateKey(directory);
  const value = privateKey && openSecret(crypto, privateKey, sealed);
  privateKey?.fill(0);
  if (value !== undefined) return value;
  throw new AspenError('DENIED', `secret "${sealed.name}" is not sealed to the present key of this machine`);
}
