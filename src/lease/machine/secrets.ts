import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { isPeerId, roleAllows } from '../../mesh/index.ts';
import { keyText, textKey } from '../../storage/index.ts';
import { parseWith } from './checks.ts';
import { exhausted } from './lease-records.ts';
import type { Member } from './member-records.ts';
import type { ApplyContext, Fact, MachineModule, QueryContext } from './module.ts';

/** Secrets at one time. */
export const SECRETS_LIMIT = 1_000;
/** Nodes that one secret is granted to. */
export const GRANTS_LIMIT = 256;
/** A sealed value: 64 KiB and what sealing adds. Unit: bytes. */
const BOX_BYTES_LIMIT = 64 * 1024 + 256;
/** Secrets of one question. */
const OPEN_LIMIT = 64;
/** Nodes that are remembered to have known a value. */
const EXPOSED_LIMIT = 1_024;

export interface SecretGrant {
  readonly peerId: string;
  /** X25519, 32 bytes: what the data key was sealed to. */
  readonly sealingKey: Uint8Array;
  readonly wrap: Uint8Array;
}

/** What is known of a secret; its sealed value lies apart. */
export interface SecretRecord {
  /** Of this version; drawn by whoever sealed it. */
  readonly id: string;
  /** 1 for the first. */
  readonly version: number;
  readonly createdAtMs: number;
  readonly setAtMs: number;
  readonly grants: readonly SecretGrant[];
  /** Nodes that may know this value although it is not granted to them any more. */
  readonly exposedTo: readonly string[];
}

/** A secret as it is shown: to whom, and nothing that could be opened. */
export interface SecretView extends Omit<SecretRecord, 'grants'> {
  readonly name: string;
  readonly grants: readonly Omit<SecretGrant, 'wrap'>[];
}

/** What opens one secret on one node. */
export interface SecretOpening {
  readonly name: string;
  readonly id: string;
  readonly box: Uint8Array;
  readonly wrap: Uint8Array;
}

const name = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/,
    'expected up to 128 letters, digits or . _ - /, beginning with a letter or digit',
  );
const peerId = z.custom<string>(isPeerId, 'expected a peer id');
const id = z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hex digits');
const bytesOf = (least: number, most: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length >= least && value.length <= most,
    `expected ${least} to ${most} bytes`,
  );
const grant = z.object({ peerId, sealingKey: bytesOf(32, 32), wrap: bytesOf(32, 512) });
const grants = z
  .array(grant)
  .min(1, 'a secret that no node may read is of no use')
  .max(GRANTS_LIMIT)
  .refine((all) => new Set(all.map((one) => one.peerId)).size === all.length, 'names a node twice');
const ref = z.object({ name });
const setSchema = ref.extend({
  id,
  box: bytesOf(64, BOX_BYTES_LIMIT),
  grants,
  /** The version that it is to follow on; null: there must be none; absent: whatever there is. */
  expectedId: id.nullable().optional(),
  /** The value is the one of before, under another key. */
  isSameValue: z.boolean().default(false),
});
const grantSchema = ref.extend({ id, grant });
const revokeSchema = ref.extend({ peerId });
const openSchema = z.object({ names: z.array(name).max(OPEN_LIMIT), peerId });

/**
 * Secrets, each sealed to the nodes that may read it. The machine never sees a value.
 *
 * - S1 Only members who may run jobs are granted anything; whoever leaves or is revoked loses all grants within the same command.
 * - S2 Grants are of the version they were made for: setting another one replaces all of them at once.
 * - S3 Whoever had a grant of a value and lost it is named with the secret until another value is set.
 * - S4 Who may read is what was granted last: an opening is given out for a present grant, and for no other node.
 */
export const secretsModule: MachineModule = {
  name: 'secrets',
  tables: ['secrets', 'boxes', 'counts'],
  commands: {
    set: { since: 1, parse: parseWith(setSchema), apply: applySet },
    grant: { since: 1, parse: parseWith(grantSchema), apply: applyGrant },
    revoke: { since: 1, parse: parseWith(revokeSchema), apply: applyRevoke },
    delete: { since: 1, parse: parseWith(ref), apply: applyDelete },
  },
  queries: {
    list: { parse: () => null, run: (_body, context) => ({ secrets: listSecrets(context) }) },
    get: {
      parse: parseWith(ref),
      run: (body: z.infer<typeof ref>, context) => viewOf(body.name, find(context, body.name)) ?? null,
    },
    /** What a node needs to open secrets; null for each that is unknown or not granted to it. */
    open: {
      parse: parseWith(openSchema),
      run: (body: z.infer<typeof openSchema>, context) => ({
        openings: body.names.map((one) => openingOf(context, one, body.peerId) ?? null),
      }),
    },
  },
  reactions: { members: { left: forgetMember, revoked: forgetMember } },
};

function applySet(body: z.infer<typeof setSchema>, context: ApplyContext): SecretView {
  const before = find(context, body.name);
  if (body.expectedId !== undefined && body.expectedId !== (before?.id ?? null)) {
    const message = `secret "${body.name}" was changed meanwhile; look at it and try again`;
    throw new AspenError('CONFLICT', message, { details: { current: before?.id ?? null } });
  }
  if (before?.id === body.id) return viewOf(body.name, before) as SecretView;
  for (const one of body.grants) requireRunner(context, one.peerId); // S1
  if (before === undefined) count(context, 1);
  const record: SecretRecord = {
    id: body.id,
    version: (before?.version ?? 0) + 1,
    createdAtMs: before?.createdAtMs ?? context.wallMs,
    setAtMs: context.wallMs,
    grants: body.grants, // S2
    exposedTo: body.isSameValue && before !== undefined ? lost(before, body.grants) : [], // S3
  };
  context.table<Uint8Array>('boxes').put(textKey(body.name), body.box);
  return put(context, body.name, record);
}

function applyGrant(body: z.infer<typeof grantSchema>, context: ApplyContext): SecretView {
  const record = getRecord(context, body.name);
  if (record.id !== body.id) {
    const message = `secret "${body.name}" has another version than the one that was to be granted; try again`;
    throw new AspenError('CONFLICT', message, { details: { current: record.id } }); // S2
  }
  requireRunner(context, body.grant.peerId); // S1
  const others = record.grants.filter((one) => one.peerId !== body.grant.peerId);
  if (others.length >= GRANTS_LIMIT)
    throw exhausted(`secret "${body.name}" is granted to ${others.length} nodes`, {
      name: 'GRANTS_LIMIT',
      most: GRANTS_LIMIT,
    });
  const exposedTo = record.exposedTo.filter((one) => one !== body.grant.peerId);
  return put(context, body.name, { ...record, grants: [...others, body.grant], exposedTo });
}

function applyRevoke(body: z.infer<typeof revokeSchema>, context: ApplyContext): SecretView {
  const record = getRecord(context, body.name);
  const without = withoutNode(record, body.peerId);
  if (without === undefined)
    throw new AspenError('NOT_FOUND', `secret "${body.name}" is not granted to ${body.peerId}`);
  return put(context, body.name, without);
}

function applyDelete(body: z.infer<typeof ref>, context: ApplyContext): { readonly deleted: boolean } {
  if (find(context, body.name) === undefined) return { deleted: false };
  context.table<SecretRecord>('secrets').delete(textKey(body.name));
  context.table<Uint8Array>('boxes').delete(textKey(body.name));
  count(context, -1);
  context.emit({ type: 'changed', name: body.name });
  return { deleted: true };
}

/** S1 */
function forgetMember(fact: Fact, context: ApplyContext): void {
  const gone = fact['peerId'] as string;
  const touched = [...context.table<SecretRecord>('secrets').range({})].flatMap(([key, record]) => {
    const without = withoutNode(record, gone);
    return without === undefined ? [] : [[key, without] as const];
  });
  for (const [key, record] of touched) context.table<SecretRecord>('secrets').put(key, record);
}

/** S3 @returns undefined when the node has no grant. */
function withoutNode(record: SecretRecord, gone: string): SecretRecord | undefined {
  const left = record.grants.filter((one) => one.peerId !== gone);
  if (left.length === record.grants.length) return undefined;
  return { ...record, grants: left, exposedTo: lost(record, left) };
}

/** Who knew the value and is not among those who may read it now. */
function lost(before: SecretRecord, now: readonly SecretGrant[]): readonly string[] {
  const granted = new Set(now.map((one) => one.peerId));
  const knew = new Set([...before.exposedTo, ...before.grants.map((one) => one.peerId)]);
  return [...knew].filter((one) => !granted.has(one)).slice(-EXPOSED_LIMIT);
}

/** @throws AspenError DENIED for who is no member that may run jobs. */
function requireRunner(context: ApplyContext, node: string): void {
  const member = context.read<Member>('members', 'members').get(textKey(node));
  const isRunner = member !== undefined && member.revokedAtMs === null && roleAllows(member.role, 'worker');
  if (!isRunner) throw new AspenError('DENIED', `${node} is no member that may run jobs`);
}

/** @returns the nodes that may open a secret; undefined when there is no such secret. */
export function readersOf(
  context: Pick<QueryContext, 'read'>,
  secret: string,
): ReadonlySet<string> | undefined {
  const record = context.read<SecretRecord>('secrets', 'secrets').get(textKey(secret));
  return record && new Set(record.grants.map((one) => one.peerId));
}

/** S4 */
function openingOf(context: QueryContext, secret: string, node: string): SecretOpening | undefined {
  const record = find(context, secret);
  const own = record?.grants.find((one) => one.peerId === node);
  const box = context.table<Uint8Array>('boxes').get(textKey(secret));
  if (record === undefined || own === undefined || box === undefined) return undefined;
  return { name: secret, id: record.id, box, wrap: own.wrap };
}

function put(context: ApplyContext, secret: string, record: SecretRecord): SecretView {
  context.table<SecretRecord>('secrets').put(textKey(secret), record);
  context.emit({ type: 'changed', name: secret });
  return viewOf(secret, record) as SecretView;
}

function find(context: Pick<QueryContext, 'table'>, secret: string): SecretRecord | undefined {
  return context.table<SecretRecord>('secrets').get(textKey(secret));
}

function getRecord(context: ApplyContext, secret: string): SecretRecord {
  const record = find(context, secret);
  if (record !== undefined) return record;
  throw new AspenError('NOT_FOUND', `there is no secret "${secret}"`);
}

function listSecrets(context: QueryContext): SecretView[] {
  return Array.from(
    context.table<SecretRecord>('secrets').range({}),
    ([key, record]) => viewOf(keyText(key), record) as SecretView,
  );
}

function viewOf(secret: string, record: SecretRecord | undefined): SecretView | undefined {
  if (record === undefined) return undefined;
  const { grants: all, ...rest } = record;
  return { name: secret, ...rest, grants: all.map(({ wrap: _, ...shown }) => shown) };
}

/** @throws AspenError RESOURCE_EXHAUSTED */
function count(context: ApplyContext, change: 1 | -1): void {
  const table = context.table<number>('counts');
  const there = table.get('secrets') ?? 0;
  if (change > 0 && there >= SECRETS_LIMIT)
    throw exhausted(`there are ${there} secrets`, { name: 'SECRETS_LIMIT', most: SECRETS_LIMIT });
  table.put('secrets', there + change);
}
