/** A value of type `T` that only its own constructor may produce, so that two kinds of string or number never mix. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** A node's name: the libp2p peer id of its Ed25519 public key, base58, `12D3Koo...`. */
export type PeerId = Brand<string, 'PeerId'>;

/** A mesh's name: derived from the public half of its root key, so that a certificate can be checked against it. */
export type MeshId = Brand<string, 'MeshId'>;

/** Raft term, a whole number that only grows. */
export type Term = Brand<number, 'Term'>;

/** Position in the Raft log, from 1; 0 means before the first entry. */
export type LogIndex = Brand<number, 'LogIndex'>;
