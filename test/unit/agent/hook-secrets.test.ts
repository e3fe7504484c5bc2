import assert from 'node:assert/strict';
import { recipientsOf } from '../../../src/agent/hook-secrets.ts';
import type { MeshNode } from '../../../src/agent/mesh-node.ts';
import { failureOf, identityOf } from '../mesh/support.ts';

const [ada, bob, eve] = [1, 2, 3].map((number) => identityOf(number).peerId);
const KEY = Buffer.alloc(32, 7).toString('base64');

/** What a node knows of others. */
function knowing({
  agreed,
  keys,
}: {
  readonly agreed: readonly unknown[];
  readonly keys: readonly unknown[];
}) {
  return {
    gate: { members: () => [ada, bob, eve].map((peerId) => ({ peerId, role: 'worker' })) },
    registry: {
      node: (peerId: unknown) => ({ profile: keys.includes(peerId) ? { sealingKey: KEY } : {} }),
    },
    members: { agreed: async () => new Set(agreed) },
  } as unknown as Pick<MeshNode, 'gate' | 'registry' | 'members'>;
}

describe('the secret of a hook', () => {
  it('is sealed to whom the group takes for members: not to one that died as it left, which others know still', async () => {
    const recipients = await recipientsOf(knowing({ agreed: [ada, bob], keys: [ada, bob, eve] }));
    assert.deepEqual(
      recipients.map(({ peerId }) => peerId),
      [ada, bob],
    );
  });

  it('is sealed to nobody whose key is not known, and refused where that leaves nobody', async () => {
    const recipients = await recipientsOf(knowing({ agreed: [ada, bob], keys: [bob] }));
    assert.deepEqual(
      recipients.map(({ peerId }) => peerId),
      [bob],
    );
    const refusal = await failureOf(recipientsOf(knowing({ agreed: [ada], keys: [eve] })));
    assert.match(String(refusal), /no member that may run jobs has told a key/);
  });
});
