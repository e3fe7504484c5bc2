/** Deeper values are for the decoder. Unit: levels. */
const DEPTH_LIMIT = 16;

/**
 * Whether `value` is what {@link decode} makes of {@link encode}'s bytes of it, to the last field: plain data that lose nothing on the way. Who
 * has just encoded such a value need not read the bytes to know what everybody else will read. May say no of what would be the same, as of
 * bytes, and of what is very deep.
 */
export function isAsDecoded(value: unknown, depthLeft: number = DEPTH_LIMIT): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed(); // half a surrogate pair becomes another character
    case 'number':
      return value !== 0 || !Object.is(value, -0);
    case 'boolean':
      return true;
    case 'object':
      if (value === null) return true;
      if (depthLeft === 0) return false;
      return Array.isArray(value) ? isList(value, depthLeft - 1) : isMap(value, depthLeft - 1);
    default:
      return false;
  }
}

/** A hole reads as `undefined`. */
function isList(items: readonly unknown[], depthLeft: number): boolean {
  for (let at = 0; at < items.length; at += 1) if (!isAsDecoded(items[at], depthLeft)) return false;
  return true;
}

function isMap(value: object, depthLeft: number): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const key in value) {
    if (key === '__proto__' || !key.isWellFormed()) return false;
    if (!isAsDecoded((value as Readonly<Record<string, unknown>>)[key], depthLeft)) return false;
  }
  return true;
}
