import { AspenError } from '../../base/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import type { MeshNode } from '../mesh-node.ts';

type SecretHandlers = Pick<
  Handlers,
  `secret.${'recipients' | 'set' | 'list' | 'get' | 'opening' | 'grant' | 'revoke' | 'delete'}`
>;
type Shown = Result<'secret.get'>;

/** As the machine shows it. */
interface SecretView {
  readonly name: string;
  readonly id: string;
  readonly version: number;
  readonly createdAtMs: number;
  readonly setAtMs: number;
  readonly grants: readonly { readonly peerId: string; readonly sealingKey: Uint8Array }[];
  readonly exposedTo: readonly string[];
}

interface Opening {
  readonly name: string;
  readonly id: string;
  readonly box: Uint8Array;
  readonly wrap: Uint8Array;
}

/** Secrets, sealed as they come and go. */
export function secretHandlers(daemon: Daemon): SecretHandlers {
  const propose = <R>(kind: string, body: object, requestId: string | undefined): Promise<R> =>
    daemon.node.group.client.propose<R>({
      module: 'secrets',
      kind,
      body,
      ...(requestId !== undefined && { requestId }),
    });
  const query = <R>(kind: string, body: unknown): Promise<R> =>
    daemon.node.group.client.query<R>({ module: 'secrets', kind, body });
  return {
    'secret.recipients': async ({ peerIds }) => recipientsOf(daemon.node, peerIds),
    'secret.set': async ({ requestId, box, grants, ...body }) => {
      const sealed = { ...body, box: bytesOf(box), grants: grants.map(grantOf) };
      return shown(await propose<SecretView>('set', sealed, requestId));
    },
    'secret.list': async () => {
      const { secrets } = await query<{ readonly secrets: readonly SecretView[] }>('list', null);
      return { secrets: secrets.map(shown) };
    },
    'secret.get': async ({ name }) => {
      const view = await query<SecretView | null>('get', { name });
      if (view === null) throw new AspenError('NOT_FOUND', `there is no secret "${name}"`);
      return shown(view);
    },
    'secret.opening': async ({ name }) => {
      const body = { names: [name], peerId: daemon.node.self };
      const { openings } = await query<{ readonly openings: readonly (Opening | null)[] }>('open', body);
      const [opening] = openings;
      if (opening == null)
        throw new AspenError('DENIED', `secret "${name}" is unknown, or not granted to this node`);
      return { ...opening, box: textOf(opening.box), wrap: textOf(opening.wrap) };
    },
    'secret.grant': async ({ name, id, grant, requestId }) =>
      shown(await propose<SecretView>('grant', { name, id, grant: grantOf(grant) }, requestId)),
    'secret.revoke': async ({ name, peerId, requestId }) =>
      shown(await propose<SecretView>('revoke', { name, peerId }, requestId)),
    'secret.delete': async ({ name, requestId }) => propose('delete', { name }, requestId),
  };
}

/** @throws AspenError NOT_FOUND naming the first that is no member, or has told no key. */
function recipientsOf(node: MeshNode, peerIds: readonly string[] | undefined): Result<'secret.recipients'> {
  const known = node.gate.members().flatMap(({ peerId }) => {
    const { name, sealingKey } = node.registry.node(peerId)?.profile ?? {};
    return sealingKey === undefined ? [] : [{ peerId: peerId as string, name: name ?? null, sealingKey }];
  });
  if (peerIds === undefined) return { self: node.self, recipients: known };
  const recipients = peerIds.map((peerId) => {
    const found = known.find((one) => one.peerId === peerId);
    if (found !== undefined) return found;
    throw new AspenError(
      'NOT_FOUND',
      `${peerId} has told this node no key to seal to: it is no member, was not heard of yet, or runs an older version`,
    );
  });
  return { self: node.self, recipients };
}

function grantOf(grant: { readonly peerId: string; readonly sealingKey: string; readonly wrap: string }) {
  return { peerId: grant.peerId, sealingKey: bytesOf(grant.sealingKey), wrap: bytesOf(grant.wrap) };
}

function shown({ createdAtMs, setAtMs, grants, exposedTo, ...rest }: SecretView): Shown {
  return {
    ...rest,
    createdAt: createdAtMs,
    setAt: setAtMs,
    grants: grants.map(({ peerId, sealingKey }) => ({ peerId, sealingKey: textOf(sealingKey) })),
    exposedTo: [...exposedTo],
  };
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
