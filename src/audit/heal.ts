import type { Crypto } from '../base/index.ts';
import { type AuditFiles, firstSeqOf } from './audit-files.ts';
import type { AuditEvent } from './chain.ts';
import { EMPTY_HEAD, type Head, parseHead } from './head.ts';
import { walkFile } from './walk.ts';

export interface Healed {
  readonly head: Head;
  /** What was found out of order, to be the next lines of the log. */
  readonly events: readonly AuditEvent[];
}

/**
 * Brings what a crash left to a point where lines can be added.
 *
 * - L3 What lies within the head is never touched, whatever its state: a break there is for `verify` to name, for ever.
 * - L4 What lies beyond the head, which a crash or a full disk kept from being noted, stays where it follows on; where it does not, because a
 *   write was cut off, it is removed, and the log says how much.
 * - L5 Without a head nothing of a log is believed: its files are set aside as they are, and the first line of the new log says so.
 */
export async function heal(crypto: Pick<Crypto, 'sha256'>, files: AuditFiles): Promise<Healed> {
  const head = parseHead(await files.readHead());
  if (head === undefined) return beginAnew(files);
  for (const name of await files.names()) if (firstSeqOf(name) <= head.base.seq) await files.remove(name); // a removal that was not finished
  const lackingBytes = await lackOf(files, head);
  if (lackingBytes === 0) return goOn(crypto, files, head);
  const event = { kind: 'audit.missing', file: head.file, bytes: lackingBytes };
  return { head: { ...head, file: '', bytes: 0 }, events: [event] };
}

/** L5 */
async function beginAnew(files: AuditFiles): Promise<Healed> {
  const names = await files.names();
  for (const name of names) await files.setAside(name);
  await files.writeHead(JSON.stringify(EMPTY_HEAD)); // so that lines whose note did not follow any more are not taken for a stranger's
  const events = names.length === 0 ? [] : [{ kind: 'audit.headLost', setAside: names }];
  return { head: EMPTY_HEAD, events };
}

/** @returns how many bytes the file lacks that the head says were written. */
async function lackOf(files: AuditFiles, { file, bytes }: Head): Promise<number> {
  return bytes === 0 ? 0 : Math.max(0, bytes - (await files.read(file)).length);
}

/** L4 */
async function goOn(crypto: Pick<Crypto, 'sha256'>, files: AuditFiles, from: Head): Promise<Healed> {
  let head = from;
  let droppedBytes = 0;
  for (const file of (await files.names()).filter((name) => name >= from.file)) {
    const bytes = await files.read(file);
    const walk = walkFile(crypto, { file, bytes, from: file === from.file ? from.bytes : 0 }, head.last);
    droppedBytes += bytes.length - walk.bytes;
    if (walk.bytes === 0) await files.remove(file);
    else if (walk.bytes < bytes.length) await files.truncate(file, walk.bytes);
    if (walk.bytes > 0) head = { ...head, last: walk.end, file, bytes: walk.bytes };
  }
  return { head, events: droppedBytes === 0 ? [] : [{ kind: 'audit.healed', droppedBytes }] };
}
