import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Heap } from './heap-rest.ts';

type Collect = (how: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

/** The heap of V8. Only its last resort also gives pages back; a usual collection keeps them at hand. */
export const osHeap: Heap = {
  totalBytes: () => getHeapStatistics().total_heap_size,
  compact() {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as Collect;
    setFlagsFromString('--no-expose-gc');
    collect({ type: 'major', flavor: 'last-resort' });
  },
};
