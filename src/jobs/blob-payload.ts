/** A payload that does not travel in the record: it is a blob, the JSON of what the job is given. */
export interface BlobPayload {
  readonly $blob: {
    readonly id: string;
    readonly sizeBytes: number;
    /** Nodes that kept it when the job was submitted. */
    readonly nodes: readonly string[];
  };
}

/** What fetches such payloads. */
export interface PayloadSource {
  /**
   * It stays on this node as long as the job is on record: a process that outlives its agent is taken over with it.
   * @param onWait told when it has to come from another node.
   * @returns what the job is given. @throws AspenError when it cannot be had, after some patience; the signal's reason when it aborts.
   */
  fetch(
    payload: BlobPayload,
    options: {
      readonly jobId: string;
      readonly signal: AbortSignal;
      readonly onWait: (reason: string) => void;
    },
  ): Promise<unknown>;
}

/** Payloads of more characters than this become blobs. */
export const INLINE_PAYLOAD_LIMIT = 64 * 2 ** 10;

/** Longest payload that becomes a blob by itself: it must fit a line to an attached worker. Unit: bytes of JSON. */
export const BLOB_PAYLOAD_BYTES_LIMIT = 12 * 2 ** 20;

const ID = /^(bafkrei|bafybei)[a-z2-7]{52}$/;
const NODES_LIMIT = 16;

export function isBlobPayload(payload: unknown): payload is BlobPayload {
  if (typeof payload !== 'object' || payload === null || !('$blob' in payload)) return false;
  const { $blob: blob, ...others } = payload;
  if (typeof blob !== 'object' || blob === null || Object.keys(others).length > 0) return false;
  const { id, sizeBytes, nodes } = blob as Partial<BlobPayload['$blob']>;
  if (typeof id !== 'string' || !ID.test(id)) return false;
  if (!Number.isSafeInteger(sizeBytes) || !Array.isArray(nodes) || nodes.length > NODES_LIMIT) return false;
  return nodes.every((node) => typeof node === 'string');
}

/** @returns whether the JSON of the value has more than about so many characters. Looks at no more of it than it must. */
export function isLongerThan(value: unknown, limit: number): boolean {
  return roomAfter(value, limit) < 0;
}

/** @returns what is left of the room, negative when it is used up. */
function roomAfter(value: unknown, room: number): number {
  if (typeof value === 'string') return room - value.length - 2;
  if (typeof value !== 'object' || value === null) return room - 4;
  let left = room - 2;
  if (Array.isArray(value)) {
    for (const item of value) {
      if (left < 0) return left;
      left = roomAfter(item, left - 1);
    }
    return left;
  }
  for (const key in value) {
    if (left < 0) return left;
    left = roomAfter((value as Readonly<Record<string, unknown>>)[key], left - key.length - 4);
  }
  return left;
}
