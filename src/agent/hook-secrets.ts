import { AspenError } from '../base/index.ts';
import { GRANTS_LIMIT } from '../lease/index.ts';
import { roleAllows } from '../mesh/index.ts';
import { isReference, type Recipient, sealSecret, secretNameOf } from '../secrets/index.ts';
import type { Daemon } from './daemon.ts';
import type { MeshNode } from './mesh-node.ts';

/** Secrets of hooks that were given as a value, each under the id of its hook. */
const PREFIX = 'hook/';

interface Signed<R> {
  readonly id: string;
  /** A value, or a reference to a secret there is. */
  readonly secret: string;
  readonly add: (secretName: string) => Promise<R>;
}

/**
 * Adds a hook that signs. A value is sealed at once, to every member that may run jobs, and kept like any secret; where no hook comes of it, it goes.
 * @throws AspenError INVALID_PARAMS, UNAVAILABLE when no member has told a key; as proposals.
 */
export async function addSigned<R extends { readonly id: string }>(
  daemon: Daemon,
  { id, secret, add }: Signed<R>,
): Promise<R> {
  if (isReference(secret)) return add(nameIn(secret));
  const name = `${PREFIX}${id}`;
  const value = new TextEncoder().encode(secret);
  const recipients = await recipientsOf(daemon.node);
  const sealed = sealSecret(daemon.platform, { name, value, recipients });
  const body = { ...sealed, expectedId: null, isSameValue: false };
  await daemon.node.group.client.propose({ module: 'secrets', kind: 'set', body });
  try {
    const hook = await add(name);
    if (hook.id !== id) await deleteSecretOf(daemon, id); // the same request had its effect before
    return hook;
  } catch (error) {
    if (error instanceof AspenError && error.outcome === 'not-applied') await deleteSecretOf(daemon, id);
    throw error;
  }
}

/** What was sealed for a hook goes with it; a secret that it only named stays. */
export async function deleteSecretOf(daemon: Daemon, hookId: string): Promise<void> {
  const body = { name: `${PREFIX}${hookId}` };
  await daemon.node.group.client.propose({ module: 'secrets', kind: 'delete', body });
}

function nameIn(reference: string): string {
  const name = secretNameOf(reference);
  if (name !== undefined) return name;
  const message = 'must be a value, or secret:// and the name of a secret';
  throw new AspenError('INVALID_PARAMS', `secret: ${message}`, {
    details: { issues: [{ path: 'secret', message }] },
  });
}

/**
 * Those that the group takes for members, and no others: it refuses what is sealed to anybody else.
 * @throws AspenError UNAVAILABLE when there is none; as queries.
 */
export async function recipientsOf({
  gate,
  registry,
  members,
}: {
  readonly gate: Pick<MeshNode['gate'], 'members'>;
  readonly registry: Pick<MeshNode['registry'], 'node'>;
  readonly members: Pick<MeshNode['members'], 'agreed'>;
}): Promise<readonly Recipient[]> {
  const agreed = await members.agreed();
  const recipients = gate.members().flatMap(({ peerId, role }) => {
    const key = registry.node(peerId)?.profile?.sealingKey;
    if (key === undefined || !roleAllows(role, 'worker') || !agreed.has(peerId)) return [];
    return [{ peerId, sealingKey: new Uint8Array(Buffer.from(key, 'base64')) }];
  });
  if (recipients.length > 0) return recipients.slice(0, GRANTS_LIMIT);
  throw new AspenError('UNAVAILABLE', 'no member that may run jobs has told a key to seal to yet', {
    outcome: 'not-applied',
  });
}
