import { AspenError, type PeerId, withDeadline } from '../../base/index.ts';
import { type BlobId, type BlobStat, type Blobs, parseBlobId } from '../../blobs/index.ts';
import type { Connection, Handlers, Result } from '../../rpc/index.ts';
import { BlobUploads } from '../blob-uploads.ts';
import type { Daemon } from '../daemon.ts';

type BlobHandlers = Pick<
  Handlers,
  `blob.${'add' | 'begin' | 'write' | 'commit' | 'abort' | 'get' | 'fetch' | 'stat' | 'list' | 'pin' | 'unpin' | 'remove'}`
>;

const PIECE_BYTES = 2 ** 20;
const PAGE = 1_000;

/** Blobs, as the socket offers them. */
export function blobHandlers(daemon: Daemon): BlobHandlers {
  const uploads = new BlobUploads(daemon.platform);
  const blobs = (): Blobs => daemon.node.blobs;
  return {
    'blob.add': async ({ data, name, pin = true }) =>
      shown(await blobs().store.add(bytesOf(data), keepOf({ name, pin }))),
    'blob.begin': async (_, connection) => ({ upload: uploads.begin(blobs().store, connection) }),
    'blob.write': async ({ upload, offset, data }, connection) => ({
      sizeBytes: await uploads.write(upload, { offset, bytes: bytesOf(data) }, connection),
    }),
    'blob.commit': async ({ upload, name, pin = true }, connection) => {
      const open = uploads.take(upload, connection);
      try {
        return shown(await open.commit(keepOf({ name, pin })));
      } catch (error) {
        await open.abort();
        throw error;
      }
    },
    'blob.abort': async ({ upload }, connection) => ({ aborted: await uploads.abort(upload, connection) }),
    'blob.get': async ({ id, offset = 0, lengthBytes = PIECE_BYTES }, connection) =>
      readPiece(blobs(), { id: parseBlobId(id), offset, lengthBytes }, connection),
    'blob.fetch': async ({ id, from = [], pin = false, timeoutMs }, connection) =>
      shown(await fetched(daemon, { id: parseBlobId(id), from, pin, timeoutMs }, connection)),
    'blob.stat': async ({ id, local: isLocal = false }) => statOf(blobs(), parseBlobId(id), isLocal),
    'blob.list': async ({ limit = PAGE, cursor = '' }) => listed(blobs(), { limit, cursor }),
    'blob.pin': async ({ id }, connection) =>
      shown(await blobs().ensure(parseBlobId(id), { isPinned: true, signal: connection.signal })),
    'blob.remove': async ({ id, force: isForced = false }) => {
      const freedBytes = await blobs().store.discard(parseBlobId(id), { isForced });
      return { id, removed: true, freedBytes };
    },
    'blob.unpin': async ({ id }) => shown(await blobs().store.pin(parseBlobId(id), false)),
  };
}

/** @throws AspenError INVALID_PARAMS; what is no base64 is left out by the decoder, so that less comes out than has to. */
function bytesOf(data: string): Uint8Array {
  const bytes = Buffer.from(data, 'base64');
  const padding = data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0;
  if (data.length % 4 === 0 && bytes.length === (data.length / 4) * 3 - padding) return bytes;
  const issues = [{ path: 'data', message: 'must be base64, with its padding' }];
  throw new AspenError('INVALID_PARAMS', 'data is not base64', { details: { issues } });
}

function keepOf({ name, pin }: { readonly name: string | undefined; readonly pin: boolean }) {
  return { isPinned: pin, ...(name !== undefined && { name }) };
}

function shown(stat: BlobStat): Result<'blob.add'> {
  return { ...stat, jobs: [...stat.jobs], kind: 'owned' };
}

async function readPiece(
  blobs: Blobs,
  { id, offset, lengthBytes }: { readonly id: BlobId; readonly offset: number; readonly lengthBytes: number },
  { signal }: Connection,
): Promise<Result<'blob.get'>> {
  const parts: Uint8Array[] = [];
  let at = offset;
  let sizeBytes = 0;
  while (at < offset + lengthBytes) {
    const part = await blobs.read(id, { offset: at, lengthBytes: offset + lengthBytes - at, signal });
    sizeBytes = part.sizeBytes;
    if (part.bytes.length === 0) break;
    parts.push(part.bytes);
    at += part.bytes.length;
  }
  if (offset > sizeBytes)
    throw new AspenError('INVALID_PARAMS', `offset ${offset} lies beyond the ${sizeBytes} bytes of the blob`);
  const data = Buffer.concat(parts).toString('base64');
  return { id, offset, data, sizeBytes, isLast: at >= sizeBytes };
}

async function fetched(
  { node, clock }: Daemon,
  {
    id,
    from,
    pin,
    timeoutMs,
  }: {
    readonly id: BlobId;
    readonly from: readonly string[];
    readonly pin: boolean;
    readonly timeoutMs: number | undefined;
  },
  { signal }: Connection,
): Promise<BlobStat> {
  const hints = from as readonly PeerId[];
  const ensure = (until: AbortSignal) => node.blobs.ensure(id, { hints, isPinned: pin, signal: until });
  if (timeoutMs === undefined) return ensure(signal);
  return withDeadline({ clock, timeoutMs, what: `fetching blob ${id}`, signal }, ensure);
}

async function statOf(blobs: Blobs, id: BlobId, isLocal: boolean): Promise<Result<'blob.stat'>> {
  const own = blobs.store.stat(id);
  const holders = isLocal ? [] : await blobs.holders(id);
  if (own === undefined && holders.length === 0)
    throw new AspenError('NOT_FOUND', `neither this node nor any that could be asked has blob ${id}`);
  const suspects = blobs.holderRecords().filter(({ lies, stalls }) => lies + stalls > 0);
  return { id, local: own === undefined ? null : shown(own), holders: [...holders], suspects };
}

function listed(
  blobs: Blobs,
  { limit, cursor }: { readonly limit: number; readonly cursor: string },
): Result<'blob.list'> {
  const { store } = blobs;
  const rest = store.list().filter(({ id }) => id > cursor);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return {
    blobs: page.map(shown),
    ...(last !== undefined && rest.length > limit && { cursor: last.id }),
    usedBytes: store.usedBytes,
    quotaBytes: store.quotaBytes,
    damagedCount: store.damagedCount,
    peers: blobs.holderRecords().map((record) => ({ ...record })),
  };
}
