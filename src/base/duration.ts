import { AspenError } from './errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * @param text `500ms`, `30s`, `5m`, `24h`, `7d`, or sums such as `1h30m`. @returns ms.
 * @throws AspenError INVALID_PARAMS naming the text.
 */
export function parseDurationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy)];
  const isWhole = parts.reduce((length, part) => length + part[0].length, 0) === text.length;
  const ms = Math.round(
    parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit as string] ?? 0), 0),
  );
  if (parts.length === 0 || !isWhole || !Number.isSafeInteger(ms)) {
    throw new AspenError(
      'INVALID_PARAMS',
      `"${text}" is not a duration; write for example 500ms, 30s, 5m, 24h or 7d`,
    );
  }
  return ms;
}

/** @returns the duration in its two largest units, e.g. `1h30m`, `4.2s`, `12ms`. */
export function formatDuration(ms: number): string {
  if (Math.round(ms) < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 59_950) return `${Number((ms / 1_000).toFixed(1))}s`;
  const wholeMs = Math.max(60_000, Math.floor(ms));
  const units = ['d', 'h', 'm', 's'] as const;
  const first = units.findIndex((unit) => wholeMs >= (UNIT_MS[unit] as number));
  const [large, small] = [units[first] as string, units[first + 1]];
  const count = Math.floor(wholeMs / (UNIT_MS[large] as number));
  const rest =
    small === undefined ? 0 : Math.floor((wholeMs % (UNIT_MS[large] as number)) / (UNIT_MS[small] as number));
  return `${count}${large}${rest > 0 ? `${rest}${small}` : ''}`;
}

/** @param ms a whole number. @returns the duration as {@link parseDurationMs} takes it, with nothing rounded: `1h30m`, `7d`, `1500ms`; `0s`. */
export function exactDuration(ms: number): string {
  const units = Object.entries(UNIT_MS);
  const smallest = units.findLast(([, unitMs]) => ms % unitMs === 0)?.[0] ?? 'ms';
  if (smallest === 'ms' && ms > 0) return `${ms}ms`;
  if (ms === 0) return '0s';
  let rest = ms;
  return units
    .toReversed()
    .map(([unit, unitMs]) => {
      const count = Math.floor(rest / unitMs);
      rest -= count * unitMs;
      return count === 0 ? '' : `${count}${unit}`;
    })
    .join('');
}
