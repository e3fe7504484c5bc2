import { mkdirSync, statSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

const OWNER_ONLY = 0o700;
const RIGHTS_OF_OTHERS = 0o077;

/**
 * Keeps compiled code between runs, which saves a client command about a third of its time. Only in a directory that nobody
 * else can write to: what lies there is executed. Without such a directory everything works, only slower.
 */
export function keepCompiledCode(env: Readonly<Record<string, string | undefined>>): void {
  const directory = join(
    env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'),
    'aspen',
    'compiled',
  );
  try {
    mkdirSync(directory, { recursive: true, mode: OWNER_ONLY });
    const { uid, mode } = statSync(directory);
    const isOurs =
      process.getuid === undefined || (uid === process.getuid() && (mode & RIGHTS_OF_OTHERS) === 0);
    if (isOurs) enableCompileCache(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error; // a read-only home is fine, a mistake of ours is not
  }
}
