import { AspenError } from '../base/index.ts';
import type { GroupClient } from '../lease/index.ts';

/** Jobs asked for at a time. */
const ASKED_AT_ONCE = 32;

/** @returns those of which the group has no record any more. @throws AspenError NO_QUORUM and the like: then nothing is known. */
export async function forgottenJobs(
  client: Pick<GroupClient, 'query'>,
  jobIds: readonly string[],
): Promise<readonly string[]> {
  const forgotten: string[] = [];
  for (let at = 0; at < jobIds.length; at += ASKED_AT_ONCE) {
    const asked = jobIds.slice(at, at + ASKED_AT_ONCE);
    const isKnown = await Promise.all(asked.map((id) => isOnRecord(client, id)));
    forgotten.push(...asked.filter((_, index) => !isKnown[index]));
  }
  return forgotten;
}

async function isOnRecord(client: Pick<GroupClient, 'query'>, id: string): Promise<boolean> {
  try {
    await client.query({ module: 'jobs', kind: 'get', body: { id } });
    return true;
  } catch (error) {
    if (error instanceof AspenError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
