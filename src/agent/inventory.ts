import type { GroupClient } from '../lease/index.ts';
import type { MembershipClient } from './membership-client.ts';

/** What this node has that would be lost if it left its mesh. */
export interface Inventory {
  readonly memberCount: number;
  readonly jobCount: number;
  readonly keyCount: number;
}

/** Jobs and keys are counted so far. */
const COUNT_LIMIT = 1_000;

export async function takeInventory(client: GroupClient, members: MembershipClient): Promise<Inventory> {
  const jobs = await client.query<{ readonly jobs: readonly unknown[] }>({
    module: 'jobs',
    kind: 'list',
    body: { limit: COUNT_LIMIT },
  });
  const keys = await client.query<{ readonly entries: readonly unknown[] }>({
    module: 'kv',
    kind: 'scan',
    body: { prefix: '', limit: COUNT_LIMIT },
  });
  return {
    memberCount: await members.countMembers(),
    jobCount: jobs.jobs.length,
    keyCount: keys.entries.length,
  };
}
