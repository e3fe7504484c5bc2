/** Says that it begins, and compacts the store at the path that it is given. */
import { argv, stdout } from 'node:process';
import { compactStore } from '../../../src/storage/os-compaction.ts';

stdout.write('begins\n');
await compactStore(argv[2] ?? '');
