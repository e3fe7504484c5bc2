import { z } from 'zod';
import { AspenError, parseDurationMs, parseSizeBytes } from '../base/index.ts';

/**
 * How values of settings are written, and what they become. Each schema takes what a file holds and what the environment says, as text, in the
 * same notation.
 */

const PER = /^(\d{1,7})\s?\/\s?(s|m|h)$/;
const PER_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

/** `10GiB`, or a number of bytes. */
export const sizeSchema = written(parseSizeBytes).pipe(z.int().min(0).max(Number.MAX_SAFE_INTEGER));

/** `30s`, or a number of ms. */
export const durationSchema = written(parseDurationMs);

/** A number as it is, or a text that `parse` understands. */
function written(parse: (text: string) => number) {
  return z.union([z.string(), z.number()]).transform((value, context): number => {
    if (typeof value === 'number') return value;
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

/** `count` in any `perMs`. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/** `10/s`, `100/m`, `5/h`. */
export const rateSchema = z
  .string()
  .regex(PER, 'write a rate, for example 10/s, 100/m or 5/h')
  .refine((text) => parseRate(text).count > 0, 'a rate is at least 1');

/** @param text as {@link rateSchema} takes it. */
export function parseRate(text: string): Rate {
  const [, digits = '', unit = 's'] = PER.exec(text) ?? [];
  return { count: Number(digits), perMs: PER_MS[unit] as number };
}

/** `none`, or a value: where nothing is bounded, that is written. */
export function orNone<T extends z.ZodType>(schema: T) {
  return z.union([z.literal('none'), schema]);
}

/** `any`, or a list: where everything is allowed, that is written, so that an empty list is what it looks like. */
export function orAny<T extends z.ZodType>(item: T) {
  return z.union([z.literal('any'), z.array(item).max(1_000)]);
}

/** How a setting is written in the environment, where everything is text. */
export const fromText = {
  text: (text: string): unknown => text,
  number: (text: string): unknown => numberOf(text),
  flag: (text: string): unknown => flagOf(text),
  list: (text: string): unknown => text.split(',').filter((item) => item !== ''),
  /** `any`, or a list. */
  listOrAny: (text: string): unknown => (text === 'any' ? text : fromText.list(text)),
  numberOrNone: (text: string): unknown => (text === 'none' ? text : numberOf(text)),
  /** `key=value,key=value` */
  map: (text: string): unknown => Object.fromEntries((fromText.list(text) as string[]).map(splitPair)),
} as const;

/** @throws AspenError INVALID_PARAMS naming the text. An empty one is none either: it would be taken for 0. */
function numberOf(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(value)) throw new AspenError('INVALID_PARAMS', `"${text}" is no number`);
  return value;
}

const FLAGS: Readonly<Record<string, boolean>> = {
  ...{ 1: true, true: true, on: true, yes: true },
  ...{ 0: false, false: false, off: false, no: false },
};

/** @throws AspenError INVALID_PARAMS naming the text. */
function flagOf(text: string): boolean {
  const value = Object.hasOwn(FLAGS, text) ? FLAGS[text] : undefined;
  if (value === undefined) throw new AspenError('INVALID_PARAMS', `"${text}" is neither true nor false`);
  return value;
}

/** @param text `key=value`. @throws AspenError INVALID_PARAMS naming the text. */
function splitPair(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new AspenError('INVALID_PARAMS', `"${text}" is no pair; write key=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
