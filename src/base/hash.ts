/**
 * A small, well-mixed hash of text (FNV-1a with the final mix of MurmurHash3), the same on every machine. Spreads and compares; it
 * withstands no attacker, so nothing may be trusted because of it.
 * @returns a whole number, 0 <= n < 2^32.
 */
export function hash32(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mixed(hash);
}

/**
 * Two of them in one walk, where 32 bits are too few.
 * @returns the first, and 16 bits of the second: a whole number, 0 <= n < 2^48.
 */
export function hash48(text: string, seed: number, secondSeed: number): number {
  let first = 0x811c9dc5 ^ seed;
  let second = 0x811c9dc5 ^ secondSeed;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x01000193);
  }
  return mixed(first) * 2 ** 16 + (mixed(second) & 0xffff);
}

/** As {@link hash48}, for bytes. */
export function hash48Bytes(bytes: Uint8Array, seed: number, secondSeed: number): number {
  let first = 0x811c9dc5 ^ seed;
  let second = 0x811c9dc5 ^ secondSeed;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    first = Math.imul(first ^ byte, 0x01000193);
    second = Math.imul(second ^ byte, 0x01000193);
  }
  return mixed(first) * 2 ** 16 + (mixed(second) & 0xffff);
}

/** As {@link hash32}, for bytes. */
export function hash32Bytes(bytes: Uint8Array, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return mixed(hash);
}

function mixed(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
