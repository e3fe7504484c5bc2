import { wrongUsage } from './failure.ts';

/** What editors of some systems put before a text to say that it is UTF-8. */
const BYTE_ORDER_MARK = /^\uFEFF/;

export function withoutMark(text: string): string {
  return text.replace(BYTE_ORDER_MARK, '');
}

/** @param what names the text for people. @throws AspenError as wrong usage when it is not JSON. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(withoutMark(text));
  } catch (error) {
    throw wrongUsage(`${what} is not JSON: ${(error as Error).message}`);
  }
}
