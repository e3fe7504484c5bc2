import { hash32 } from '../base/index.ts';
import { addMark, type Space } from './space.ts';

/** @returns a short text that is equal for replicas that hold the same versions of the keys that count. */
export function contentDigest(spaces: readonly Space[], counts: (key: string) => boolean): string {
  let sum = 0;
  for (const space of spaces) {
    for (const [owner] of space.hashes()) {
      for (const stamp of space.stampsOf(owner))
        if (counts(stamp[0])) sum = addMark(sum, markOfStamp(space.name, owner, stamp));
    }
  }
  return sum.toString(16).padStart(12, '0');
}

function markOfStamp(space: string, owner: string, stamp: readonly unknown[]): number {
  const text = JSON.stringify([space, owner, ...stamp]);
  return hash32(text) * 2 ** 16 + (hash32(text, 1) & 0xffff);
}
