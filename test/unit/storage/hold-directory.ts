import { OsRandom } from '../../../src/base/os-random.ts';
import { openOsDataDirectory } from '../../../src/storage/os-data-directory.ts';

// A process of its own that holds the directory until it is killed.
const directory = await openOsDataDirectory(process.argv[2] as string, { random: new OsRandom() });
process.stdout.write(`held ${directory.bootCount}\n`);
setInterval(() => undefined, 60_000);
