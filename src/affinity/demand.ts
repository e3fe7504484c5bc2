import { AspenError } from '../base/index.ts';

/** What is asked of the value of one label. */
export interface Demand {
  /** As it was written, for people. */
  readonly text: string;
  /** @param value undefined where the node has no such label. */
  readonly isMetBy: (value: string | undefined) => boolean;
  /** Only values that are numbers can meet it. */
  readonly isNumeric: boolean;
}

const OPERATOR = /^(>=|<=|!=|>|<|=)(.*)$/s;
const LIST = /^in\((.*)\)$/s;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const ORDERS: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '>=': (value, bound) => value >= bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '<': (value, bound) => value < bound,
};

/**
 * `32` or `=32`: this very text. `!=32`: any other, or no such label. `>=32`, `<=`, `>`, `<`: a number on that side. `in(a, b)`: one of these.
 * A value that itself begins with an operator is written after `=`.
 * @throws AspenError INVALID_PARAMS for an order without a number and for a list without a value.
 */
export function parseDemand(text: string): Demand {
  const list = LIST.exec(text)?.[1];
  if (list !== undefined) return oneOf(text, list);
  const [, operator = '=', operand = text] = OPERATOR.exec(text) ?? [];
  const wanted = operand.trim();
  if (operator === '=') return { text, isMetBy: (value) => value === wanted, isNumeric: false };
  if (operator === '!=') return { text, isMetBy: (value) => value !== wanted, isNumeric: false };
  const bound = numberOf(wanted);
  if (bound === undefined) throw refused(`"${text}" compares with "${wanted}", which is no number`);
  const isInOrder = ORDERS[operator] as (value: number, bound: number) => boolean;
  const isMetBy = (value: string | undefined) => {
    const number = numberOf(value);
    return number !== undefined && isInOrder(number, bound);
  };
  return { text, isMetBy, isNumeric: true };
}

/** @returns what is wrong with a demand, for people; undefined when nothing is. */
export function demandFault(text: string): string | undefined {
  try {
    parseDemand(text);
    return undefined;
  } catch (error) {
    if (error instanceof AspenError) return error.message;
    throw error;
  }
}

/** @returns undefined for what is no finite decimal number: `1e999`, `0x20`, `32 GiB`, the empty text. */
export function numberOf(value: string | undefined): number | undefined {
  if (value === undefined || !NUMBER.test(value)) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** Demands repeat from job to job. */
const known = new Map<string, Demand>();
const KNOWN_LIMIT = 10_000;

/** As {@link parseDemand}, for what was checked when it was submitted; what cannot be read (written by a later version) is met by nobody. */
export function demandOf(text: string): Demand {
  const found = known.get(text);
  if (found !== undefined) return found;
  const demand = readOrRefuse(text);
  if (known.size >= KNOWN_LIMIT) known.clear();
  known.set(text, demand);
  return demand;
}

function readOrRefuse(text: string): Demand {
  return demandFault(text) === undefined
    ? parseDemand(text)
    : { text, isMetBy: () => false, isNumeric: false };
}

function oneOf(text: string, list: string): Demand {
  const wanted = new Set(list.split(',').map((value) => value.trim()));
  if (wanted.size === 1 && wanted.has('')) throw refused(`"${text}" lists nothing; write in(a, b)`);
  return { text, isMetBy: (value) => value !== undefined && wanted.has(value), isNumeric: false };
}

function refused(message: string): AspenError {
  return new AspenError('INVALID_PARAMS', message);
}
