import { z } from 'zod';
import { AspenError, type PeerId } from '../../base/index.ts';
import { decodeRootList, decodeSuccession, isPeerId, ROOT_LIST_BYTES_LIMIT } from '../../mesh/index.ts';
import { textKey } from '../../storage/index.ts';
import type { Member, MeshRecord } from './member-records.ts';
import type { ApplyContext, QueryContext } from './module.ts';
import type { TicketRecord } from './ticket-rules.ts';

/** Where the mesh is with its root key. */
export interface RootState {
  /** Of the present key; the first has 0. */
  readonly number: number;
  /** Revoked since it became the root, after it was sealed to them: it must be replaced (M5). */
  readonly due: readonly PeerId[];
  /** Left since, and had it. */
  readonly left: readonly PeerId[];
  /** Position of the last command that changed who belongs to the mesh. */
  readonly changedAt: number;
}

/** One replacement of the root key. */
export interface RootRecord {
  readonly number: number;
  /** As `encodeSuccession` gives it. */
  readonly succession: Uint8Array;
  /** Wall time. */
  readonly atMs: number;
}

const STATE_KEY = textKey('now');
const LIST_KEY = textKey('list');
const RECORDS = textKey('s/');
const FIRST: RootState = { number: 0, due: [], left: [], changedAt: 0 };
/** Kept of those who left; beyond it the first is forgotten. */
const LEFT_LIMIT = 1_000;

const bytesUpTo = (limit: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length > 0 && value.length <= limit,
    `expected 1 to ${limit} bytes`,
  );
const sealedBox = z.object({
  peerId: z.custom<PeerId>(isPeerId, 'expected a peer id'),
  box: bytesUpTo(4_096),
});

export const succeedSchema = z.object({
  succession: bytesUpTo(4_096),
  list: bytesUpTo(ROOT_LIST_BYTES_LIMIT),
  /** Of the new key. */
  sealed: z.array(sealedBox).min(1).max(64),
  /** `RootState.changedAt` that the list is made of. */
  asOf: z.number().int().min(0),
});

export function readRootState(context: Pick<QueryContext, 'table'>): RootState {
  return context.table<RootState>('roots').get(STATE_KEY) ?? FIRST;
}

/** @returns every replacement, in order. */
export function readRootRecords(context: Pick<QueryContext, 'table'>): RootRecord[] {
  return Array.from(context.table<RootRecord>('roots').range({ prefix: RECORDS }), ([, record]) => record);
}

/** @returns the certificates that stay valid under the present key; undefined while it is the first. */
export function readRootList(context: Pick<QueryContext, 'table'>): Uint8Array | undefined {
  return context.table<Uint8Array>('roots').get(LIST_KEY);
}

/** M5: called whenever a member comes, goes, or is revoked. */
export function noteMembersChanged(
  context: ApplyContext,
  change: { readonly revokedKeeper?: PeerId; readonly leavingKeeper?: PeerId } = {},
): void {
  const { revokedKeeper, leavingKeeper } = change;
  const now = readRootState(context);
  const due = revokedKeeper === undefined ? now.due : [...new Set([...now.due, revokedKeeper])];
  const left =
    leavingKeeper === undefined ? now.left : [...new Set([...now.left, leavingKeeper])].slice(-LEFT_LIMIT);
  putState(context, { ...now, due, left, changedAt: context.position });
}

/** @returns whether the present root key was ever sealed to the peer. */
export function knowsRoot(context: ApplyContext, peerId: PeerId): boolean {
  const box = context.table<Uint8Array>('custody').get(textKey(peerId));
  return box !== undefined || readRootState(context).left.includes(peerId);
}

/**
 * What was signed with a root key enters only while that key is the root: a signature of before would count nowhere.
 * @throws AspenError UNAVAILABLE: signing again helps.
 */
export function requirePresentRoot(context: ApplyContext, rootNumber: number): void {
  const { number } = readRootState(context);
  if (number === rootNumber) return;
  throw new AspenError(
    'UNAVAILABLE',
    `the root key was replaced meanwhile, it has number ${number} now; try again`,
    {
      outcome: 'not-applied',
    },
  );
}

/** M5 */
export function applySucceed(body: z.infer<typeof succeedSchema>, context: ApplyContext) {
  const now = readRootState(context);
  const mesh = context.table<MeshRecord>('mesh').get('mesh');
  const succession = decodeSuccession(body.succession);
  const { number, fromKey, toKey } = succession;
  if (mesh === undefined || number !== now.number + 1 || !sameBytes(fromKey, mesh.rootPublicKey)) {
    throw new AspenError('CONFLICT', `root key ${number} does not follow upon ${now.number}`);
  }
  if (now.due.length === 0)
    throw new AspenError('CONFLICT', `nothing demands another root key than ${now.number}`);
  if (body.asOf !== now.changedAt) throw new AspenError('CONFLICT', 'the members have changed meanwhile');
  requireWholeList(body.list, context);
  replaceCustody(body.sealed, context);
  voidTickets(number, context);
  context.table<MeshRecord>('mesh').put('mesh', { ...mesh, rootPublicKey: toKey });
  context.table<RootRecord>('roots').put(textKey(`s/${String(number).padStart(6, '0')}`), {
    number,
    succession: body.succession,
    atMs: context.wallMs,
  });
  context.table<Uint8Array>('roots').put(LIST_KEY, body.list);
  putState(context, { number, due: [], left: [], changedAt: now.changedAt });
  context.emit({ type: 'succeeded', number });
  return { number };
}

function requireWholeList(list: Uint8Array, context: ApplyContext): void {
  const listed = new Set(decodeRootList(list)?.map(({ peerId }) => peerId));
  const staying = Array.from(context.table<Member>('members').range({}), ([, member]) => member).filter(
    ({ revokedAtMs }) => revokedAtMs === null,
  );
  if (listed.size === staying.length && staying.every(({ peerId }) => listed.has(peerId))) return;
  throw new AspenError('CONFLICT', `the list names ${listed.size} members, there are ${staying.length}`);
}

/** M4: whoever is not given the new key keeps none. */
function replaceCustody(sealed: z.infer<typeof succeedSchema>['sealed'], context: ApplyContext): void {
  const custody = context.table<Uint8Array>('custody');
  for (const [key] of [...custody.range({})]) custody.delete(key);
  for (const { peerId, box } of sealed) {
    const member = context.table<Member>('members').get(textKey(peerId));
    if (member === undefined || member.revokedAtMs !== null || member.role !== 'voter') {
      throw new AspenError('DENIED', `${peerId} is no member that may keep the root key`);
    }
    custody.put(textKey(peerId), box);
  }
}

/** M5: the revoked one may hold secrets of tickets; nobody can tell which. */
function voidTickets(number: number, context: ApplyContext): void {
  const tickets = context.table<TicketRecord>('tickets');
  for (const [key, ticket] of [...tickets.range({})]) {
    if (ticket.revokedAtMs !== null) continue;
    tickets.put(key, { ...ticket, revokedAtMs: context.wallMs, supersededBy: number });
  }
}

function putState(context: ApplyContext, state: RootState): void {
  context.table<RootState>('roots').put(STATE_KEY, state);
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
