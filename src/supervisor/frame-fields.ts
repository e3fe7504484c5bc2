/** Fields of JSON values that came from elsewhere. @throws TypeError naming what does not fit. */
export type Fields = Readonly<Record<string, unknown>>;

export function object(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${name} is no object`);
  return value as Fields;
}

export function list(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} is no list`);
  return value;
}

export function string(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw new TypeError(`${name} is no text`);
  return value;
}

export function number(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError(`${name} is no number`);
  return value;
}

export function optionalNumber(fields: Fields, name: string): number | null {
  return fields[name] === null ? null : number(fields, name);
}
