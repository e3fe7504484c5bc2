import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where clients of other systems are installed: outside the project, which needs none of them. */
const CACHE = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'aspen-bench');

/** What keeps a peer from being measured. The bench says so and goes on without it. */
export class NoPeer extends Error {}

/**
 * Makes a program of Debian's available, installing its package when this is root's machine.
 * @param paths where the program may be. @returns the first path that is there. @throws NoPeer
 */
export function debianProgram(packageName: string, paths: readonly string[]): string {
  const found = () => paths.find((path) => existsSync(path));
  if (found() === undefined && process.getuid?.() === 0) {
    console.error(`installing ${packageName} ...`);
    run('apt-get', ['install', '-y', '-q', '--no-install-recommends', packageName], {
      DEBIAN_FRONTEND: 'noninteractive',
      RUNLEVEL: '1', // the package must not start a service of its own
    });
  }
  const path = found();
  if (path === undefined) throw new NoPeer(`needs Debian's ${packageName}: apt-get install ${packageName}`);
  return path;
}

/** Makes packages of the npm registry available, in exactly these versions. @returns their `require`. @throws NoPeer */
export function npmPackages(versions: Readonly<Record<string, string>>): NodeJS.Require {
  const specs = Object.entries(versions).map(([name, version]) => `${name}@${version}`);
  const folder = join(CACHE, specs.join('+').replaceAll('/', '-'));
  const isThere = Object.keys(versions).every((name) => existsSync(join(folder, 'node_modules', name)));
  if (!isThere) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    console.error(`installing ${specs.join(', ')} ...`);
    run('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', ...specs], {});
  }
  return createRequire(join(folder, 'package.json'));
}

function run(program: string, args: readonly string[], environment: Readonly<Record<string, string>>): void {
  const { status, stderr } = spawnSync(program, args, {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
  if (status !== 0) throw new NoPeer(`${program} ${args.join(' ')} failed: ${String(stderr).slice(-500)}`);
}
