/** The one name that JSON gives to a field and that no object of most languages, and no decoder that is careful, carries on. */
const PROTO_KEY = '__proto__';

/** Deeper than anything that is let in. */
const DEPTH_LIMIT = 200;

/** Why it is refused, for people. */
export const PROTO_KEY_REFUSED =
  'a field cannot be called "__proto__": it would be lost on its way; call it something else';

/**
 * Looks for a field of that name, which would be lost without a word between here and whoever reads the value.
 * @returns the path to the first one, e.g. `payload.rows[2].__proto__`; undefined where there is none. Makes nothing while it finds none.
 */
export function protoKeyPath(value: unknown): string | undefined {
  return hasProtoKey(value, DEPTH_LIMIT) ? pathTo(value) : undefined;
}

function hasProtoKey(value: unknown, depthLeft: number): boolean {
  if (typeof value !== 'object' || value === null || depthLeft === 0) return false;
  if (Array.isArray(value)) {
    for (const item of value)
      if (typeof item === 'object' && item !== null && hasProtoKey(item, depthLeft - 1)) return true;
    return false;
  }
  if (ArrayBuffer.isView(value)) return false;
  for (const key in value) {
    if (key === PROTO_KEY) return true;
    const part = (value as Readonly<Record<string, unknown>>)[key];
    if (typeof part === 'object' && part !== null && hasProtoKey(part, depthLeft - 1)) return true;
  }
  return false;
}

/** Of a value that has one. */
function pathTo(value: unknown): string {
  if (Array.isArray(value)) {
    const at = value.findIndex((item) => hasProtoKey(item, DEPTH_LIMIT));
    return joined(`[${at}]`, pathTo(value[at]));
  }
  const fields = value as Readonly<Record<string, unknown>>;
  if (Object.hasOwn(fields, PROTO_KEY)) return PROTO_KEY;
  const key = Object.keys(fields).find((name) => hasProtoKey(fields[name], DEPTH_LIMIT)) ?? '';
  return joined(key, pathTo(fields[key]));
}

function joined(head: string, tail: string): string {
  return tail.startsWith('[') ? `${head}${tail}` : `${head}.${tail}`;
}
