/**
 * What the project needs of cryptography, all synchronous: asynchronous forms run on thread pools, whose order no simulation can repeat.
 * Every key is derived from a 32-byte seed, so that a seeded random source makes the same identities again.
 */
export interface Crypto {
  /** @returns 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
  /** @param seed 32 secret bytes. @returns the Ed25519 public key, 32 bytes. */
  signingPublicKey(seed: Uint8Array): Uint8Array;
  /** @returns the Ed25519 signature, 64 bytes. */
  sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
  /** @returns false for anything malformed; never throws. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** @param seed 32 secret bytes. @returns the X25519 public key, 32 bytes, to which others can seal. */
  sealingPublicKey(seed: Uint8Array): Uint8Array;
  /** Encrypts so that only the holder of the sealing key can read. @param ephemeralSeed 32 fresh random bytes. */
  seal(recipientPublicKey: Uint8Array, plain: Uint8Array, ephemeralSeed: Uint8Array): Uint8Array;
  /** @returns undefined when the box was not sealed to this key or was changed. */
  open(seed: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
  /** Compares secrets in a time that does not depend on where they differ. */
  equal(left: Uint8Array, right: Uint8Array): boolean;
}
