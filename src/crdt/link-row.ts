import { z } from 'zod';
import { decodeForeignOrUndefined, encode, type PeerId } from '../base/index.ts';
import type { PeerLink } from '../mesh/index.ts';

/** Links that a row tells of; of more the nearest ones. */
export const ROW_LIMIT = 64;
/** Least pause between two rows of one node, however its links change. Unit: ms. */
export const ROW_PAUSE_MS = 30_000;
/** What each node of the mesh adds to that pause, since each row is checked by all. Unit: ms. */
export const ROW_PAUSE_MS_PER_NODE = 600;

/** Enough of a peer id to tell members apart: 70 bits, in a fifth of the room. */
const MARK_CHARACTERS = 12;
/** Round trips are told in steps, so that a row changes when a path does and not with each measurement: powers of two from 0.25 ms. */
const FIRST_STEP_MS = 0.25;
const STEPS_LIMIT = 20;

/** One link of a node, as it tells everybody. */
export interface ToldLink {
  /** The end of a peer id. */
  readonly mark: string;
  readonly path: PeerLink['path'];
  /** Rounded up to a power of two; null before the first measurement. Unit: ms. */
  readonly rttMs: number | null;
}

export interface LinkRow {
  readonly links: readonly ToldLink[];
  /** All links of the node, told or not. */
  readonly linkCount: number;
}

export function markOfPeer(peerId: PeerId): string {
  return peerId.slice(-MARK_CHARACTERS);
}

/** @returns the row, the same for the same links in whatever order. */
export function linkRowOf(links: readonly PeerLink[]): LinkRow {
  const told = links
    .map(({ peerId, path, rttMs }) => ({ mark: markOfPeer(peerId), path, rttMs: roundedRtt(rttMs) }))
    .sort((left, right) => (left.mark < right.mark ? -1 : 1));
  const nearest = told.length <= ROW_LIMIT ? told : told.toSorted(byRtt).slice(0, ROW_LIMIT);
  return { links: nearest, linkCount: links.length };
}

/** @returns at most 1.6 KiB. */
export function encodeLinkRow({ links, linkCount }: LinkRow): Uint8Array {
  const rows = links.map(({ mark, path, rttMs }) => [mark, path === 'relay' ? 1 : 0, rttMs]);
  return encode([linkCount, rows]);
}

const rowSchema = z.tuple([
  z.int().min(0).max(1_000_000),
  z
    .array(
      z.tuple([
        z.string().length(MARK_CHARACTERS),
        z.union([z.literal(0), z.literal(1)]),
        z
          .number()
          .min(0)
          .max(FIRST_STEP_MS * 2 ** STEPS_LIMIT)
          .nullable(),
      ]),
    )
    .max(ROW_LIMIT),
]);

/** @returns undefined when the bytes are no row. */
export function decodeLinkRow(bytes: Uint8Array): LinkRow | undefined {
  const row = rowSchema.safeParse(decodeForeignOrUndefined(bytes)).data;
  if (row === undefined) return undefined;
  const [linkCount, rows] = row;
  return {
    linkCount,
    links: rows.map(([mark, isRelay, rttMs]) => ({ mark, path: isRelay === 1 ? 'relay' : 'direct', rttMs })),
  };
}

function roundedRtt(rttMs: number | undefined): number | null {
  if (rttMs === undefined) return null;
  const step = Math.min(STEPS_LIMIT, Math.max(0, Math.ceil(Math.log2(rttMs / FIRST_STEP_MS))));
  return FIRST_STEP_MS * 2 ** step;
}

function byRtt(left: ToldLink, right: ToldLink): number {
  return (left.rttMs ?? Number.POSITIVE_INFINITY) - (right.rttMs ?? Number.POSITIVE_INFINITY) || 0;
}
