import type { z } from 'zod';
import { exactDuration, exactSize } from '../base/index.ts';
import type { SettingUnit } from './config-settings.ts';

type Issue = z.core.$ZodIssue;

const KINDS: Readonly<Record<string, string>> = {
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  string: 'a text',
  array: 'a list',
  record: 'keys with values',
};
const COUNTED: Readonly<Record<string, string>> = { string: 'characters', array: 'items' };

/** @param unit what numbers of the setting count. @returns why a value was refused, for who wrote it: bounds are written as the setting is. */
export function refusalOf(issues: readonly Issue[], unit?: SettingUnit): string {
  return issues.flatMap((issue) => wordsOf(issue, unit)).join('; ');
}

/** Of a union, what helps is what is wrong with the alternative that was meant: the one of the right type, or the last. */
function wordsOf(issue: Issue, unit: SettingUnit | undefined): string[] {
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const isMeant = (issues: readonly Issue[]) =>
      issues.every(({ code }) => code !== 'invalid_type' && code !== 'invalid_value');
    const meant = issue.errors.find(isMeant) ?? issue.errors.at(-1) ?? [];
    return meant.flatMap((inner) => wordsOf({ ...inner, path: [...issue.path, ...inner.path] }, unit));
  }
  return [[...issue.path.map(String), whyOf(issue, unit)].join(': ')];
}

function whyOf(issue: Issue, unit: SettingUnit | undefined): string {
  switch (issue.code) {
    case 'too_small':
      if (issue.origin === 'string' && issue.minimum === 1) return 'must not be empty';
      return boundOf('least', { origin: issue.origin, bound: Number(issue.minimum) }, unit);
    case 'too_big':
      return boundOf('most', { origin: issue.origin, bound: Number(issue.maximum) }, unit);
    case 'invalid_type': {
      const kind = KINDS[issue.expected];
      return kind === undefined ? issue.message : `must be ${kind}`;
    }
    case 'invalid_value':
      return issue.values.length > 1 ? `must be one of ${issue.values.join(', ')}` : issue.message;
    default:
      return issue.message;
  }
}

function boundOf(
  which: 'least' | 'most',
  { origin, bound }: { readonly origin: string; readonly bound: number },
  unit: SettingUnit | undefined,
): string {
  const counted = COUNTED[origin];
  if (counted !== undefined) return `must have at ${which} ${bound} ${counted}`;
  const shown = unit === 'ms' ? exactDuration(bound) : unit === 'bytes' ? exactSize(bound) : `${bound}`;
  return `must be at ${which} ${shown}`;
}
