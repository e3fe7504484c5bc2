/** Lists within lists, or objects within objects: what is nested deeper no stack is sure to hold. */
export const PAYLOAD_DEPTH_LIMIT = 100;

export function isShallow(value: unknown, depthLeft = PAYLOAD_DEPTH_LIMIT): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depthLeft === 0) return false;
  return Object.values(value).every((part) => isShallow(part, depthLeft - 1));
}
