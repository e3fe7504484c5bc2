import type { z } from 'zod';
import { AspenError } from '../../base/index.ts';

/** A body whose fields are looked at one by one. */
export type Fields = Readonly<Record<string, unknown>>;

/** @throws AspenError INVALID_PARAMS naming `what` when the body has no fields. */
export function fieldsOf(body: unknown, what: string): Fields {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('', `${what} takes an object`);
  }
  return body as Fields;
}

export function invalid(path: string, message: string): AspenError {
  return new AspenError('INVALID_PARAMS', path === '' ? message : `${path}: ${message}`, {
    details: { issues: [{ path, message }] },
  });
}

/** @returns a `parse` for a module's kind out of a schema; its issues become INVALID_PARAMS with their paths. */
export function parseWith<T>(schema: z.ZodType<T>): (body: unknown) => T {
  return (body) => {
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
    const [first] = issues;
    throw new AspenError('INVALID_PARAMS', `${first?.path || 'body'}: ${first?.message}`, {
      details: { issues },
    });
  };
}

/** Bytes of `text` in UTF-8, without making them. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
