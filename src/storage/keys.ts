import type { Key } from './store.ts';

const encoder = new TextEncoder();

/** @returns the bytes of `text` in UTF-8 as a key; keeps the order of code points. */
export function textKey(text: string): Key {
  return isAscii(text) ? text : Buffer.from(encoder.encode(text)).toString('latin1');
}

/** @returns the text a key was made from with {@link textKey}. */
export function keyText(key: Key): string {
  return isAscii(key) ? key : Buffer.from(key, 'latin1').toString('utf8');
}

/** @param value a whole number, 0 <= value <= 2^53 - 1. @returns 8 bytes that sort like the number. */
export function numberKey(value: number): Key {
  const high = Math.floor(value / 2 ** 32);
  const low = value >>> 0;
  return String.fromCharCode(
    (high >>> 24) & 255,
    (high >>> 16) & 255,
    (high >>> 8) & 255,
    high & 255,
    (low >>> 24) & 255,
    (low >>> 16) & 255,
    (low >>> 8) & 255,
    low & 255,
  );
}

/** @returns the number at byte `at` of a key. */
export function keyNumber(key: Key, at = 0): number {
  let value = 0;
  for (let offset = 0; offset < 8; offset += 1) value = value * 256 + key.charCodeAt(at + offset);
  return value;
}

/** @returns the first key that no longer begins with `prefix`: the exclusive end of its range. */
export function prefixEnd(prefix: Key): Key {
  for (let last = prefix.length - 1; last >= 0; last -= 1) {
    const code = prefix.charCodeAt(last);
    if (code < 255) return prefix.slice(0, last) + String.fromCharCode(code + 1);
  }
  return '\u00ff'.repeat(prefix.length + 1);
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 127) return false;
  return true;
}
