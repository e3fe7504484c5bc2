import { AspenError } from '../base/index.ts';
import type { Result } from '../rpc/index.ts';
import type { CommandContext } from './command.ts';
import { refuseEmpty } from './find.ts';

const WHOLE_BLOB_ID = /^(bafkrei|bafybei)[a-z2-7]{52}$/;
const PAGES_LIMIT = 100;

type Blob = Result<'blob.list'>['blobs'][number];

/** @param name an id, a unique prefix of one on this node, or `last`. @throws AspenError NOT_FOUND, CONFLICT when several fit. */
export async function findBlobId(caller: Pick<CommandContext, 'call'>, name: string): Promise<string> {
  refuseEmpty('blob', name);
  if (WHOLE_BLOB_ID.test(name)) return name;
  const blobs = await allBlobs(caller);
  const newest = blobs.toSorted((left, right) => right.addedAtMs - left.addedAtMs).slice(0, 1);
  const found = name === 'last' ? newest : blobs.filter(({ id }) => id.startsWith(name));
  const [first] = found;
  if (first === undefined) throw new AspenError('NOT_FOUND', `no blob "${name}" on this node`);
  if (found.length > 1)
    throw new AspenError('CONFLICT', `"${name}" fits ${found.length} blobs; give more of the id`);
  return first.id;
}

async function allBlobs({ call }: Pick<CommandContext, 'call'>): Promise<readonly Blob[]> {
  const all: Blob[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_LIMIT; page += 1) {
    const listed = await call('blob.list', cursor === undefined ? {} : { cursor });
    all.push(...listed.blobs);
    cursor = listed.cursor;
    if (cursor === undefined) break;
  }
  return all;
}
