import { AspenError } from '../base/index.ts';
import { OsCrypto } from '../base/os-crypto.ts';
import { OsRandom } from '../base/os-random.ts';
import type { ParamsInput, Result } from '../rpc/index.ts';
import { openDataKey, openSecret, sealSecret, wrapKey } from '../secrets/index.ts';
import { readPrivateKey } from '../secrets/os-sealing-key.ts';

type Recipients = Result<'secret.recipients'>['recipients'];
type Opening = Result<'secret.opening'>;
type Grant = ParamsInput<'secret.grant'>['grant'];

const components = { crypto: new OsCrypto(), random: new OsRandom() };

/** Sealed here, in the client: the agent is given what it cannot read. */
export function sealValue(
  name: string,
  value: Uint8Array,
  recipients: Recipients,
): Pick<ParamsInput<'secret.set'>, 'name' | 'id' | 'box' | 'grants'> {
  const { id, box, grants } = sealSecret(components, {
    name,
    value,
    recipients: recipients.map(({ peerId, sealingKey }) => ({ peerId, sealingKey: bytesOf(sealingKey) })),
  });
  return { name, id, box: textOf(box), grants: grants.map(toGrant) };
}

/** @throws AspenError DENIED when this machine cannot open it. */
export function grantTo(
  dataDir: string,
  {
    self,
    opening,
    recipient,
  }: { readonly self: string; readonly opening: Opening; readonly recipient: Recipients[number] },
): Grant {
  const { name, id } = opening;
  const dataKey = openDataKey(components.crypto, privateKeyIn(dataDir, name), {
    ...sealedOf(opening),
    peerId: self,
  });
  if (dataKey === undefined) throw unreadable(name);
  const { peerId, sealingKey } = recipient;
  return toGrant(wrapKey(components, { name, id, dataKey }, { peerId, sealingKey: bytesOf(sealingKey) }));
}

/** @throws AspenError DENIED when this machine cannot open it. */
export function openValue(dataDir: string, self: string, opening: Opening): Uint8Array {
  const privateKey = privateKeyIn(dataDir, opening.name);
  const value = openSecret(components.crypto, privateKey, { ...sealedOf(opening), peerId: self });
  if (value === undefined) throw unreadable(opening.name);
  return value;
}

function privateKeyIn(dataDir: string, name: string): Uint8Array {
  const key = readPrivateKey(dataDir);
  if (key === undefined) throw unreadable(name);
  return key;
}

function unreadable(name: string): AspenError {
  return new AspenError(
    'DENIED',
    `secret "${name}" is not sealed to the key of this machine; set its value again`,
  );
}

function sealedOf({ name, id, box, wrap }: Opening) {
  return { name, id, box: bytesOf(box), wrap: bytesOf(wrap) };
}

function toGrant({
  peerId,
  sealingKey,
  wrap,
}: {
  peerId: string;
  sealingKey: Uint8Array;
  wrap: Uint8Array;
}): Grant {
  return { peerId, sealingKey: textOf(sealingKey), wrap: textOf(wrap) };
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
