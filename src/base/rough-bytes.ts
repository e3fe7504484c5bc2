/** Beside its payload, what most messages about a job have. Unit: bytes. */
const ENVELOPE_BYTES = 256;

/**
 * About how much room a value takes in a message, without encoding it where it is short. A text may take up to three times of it.
 * @param value plain data.
 */
export function roughBytes(value: unknown): number {
  if (typeof value === 'string') return ENVELOPE_BYTES + value.length;
  if (typeof value !== 'object' || value === null) return ENVELOPE_BYTES;
  return ENVELOPE_BYTES + JSON.stringify(value).length;
}
