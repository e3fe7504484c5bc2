import type { PeerId } from '../base/index.ts';
import type { SecretSource } from '../jobs/index.ts';
import type { GroupClient } from '../lease/index.ts';
import type { SealedForNode } from '../secrets/index.ts';

/** @returns the secrets of a node as the group has agreed on them, sealed. */
export function secretSource(group: Pick<GroupClient, 'query'>, self: PeerId): SecretSource {
  return {
    openings: async (names) => {
      const { openings } = await group.query<{ readonly openings: readonly (SealedForNode | null)[] }>({
        module: 'secrets',
        kind: 'open',
        body: { names: [...names], peerId: self },
      });
      return openings;
    },
  };
}
