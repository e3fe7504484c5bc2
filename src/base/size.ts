import { AspenError } from './errors.ts';

const SIZE = /^(\d{1,15})\s?(B|KiB|MiB|GiB|TiB)?$/;
const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/**
 * @param text `10GiB`, `500MiB`, or a number of bytes. @returns bytes.
 * @throws AspenError INVALID_PARAMS naming the text.
 */
export function parseSizeBytes(text: string): number {
  const [, digits = '', unit = 'B'] = SIZE.exec(text) ?? [];
  const bytes = Number(digits) * (UNIT_BYTES[unit] as number);
  if (digits === '' || !Number.isSafeInteger(bytes)) {
    throw new AspenError('INVALID_PARAMS', `"${text}" is not a size; write for example 10GiB or 500MiB`);
  }
  return bytes;
}

/** @param bytes a whole number. @returns the size as {@link parseSizeBytes} takes it, with nothing rounded: `64MiB`, `1500B`. */
export function exactSize(bytes: number): string {
  const [unit, unitBytes] = Object.entries(UNIT_BYTES).findLast(([, one]) => bytes % one === 0) ?? ['B', 1];
  return bytes === 0 ? '0B' : `${bytes / unitBytes}${unit}`;
}
