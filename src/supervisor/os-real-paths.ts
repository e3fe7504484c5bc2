import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { Refusal } from './confinement.ts';
import { isWithin } from './launch-line.ts';

/** Where programs are looked for when the environment says nothing. */
const USUAL_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * @param name a name, looked up in `path`, or a path, from `cwd` where it is relative.
 * @returns the path of the program, as it was found; undefined where there is none that may be run.
 */
export function findProgram(
  name: string,
  { path = USUAL_PATH, cwd = '/' }: { readonly path?: string | undefined; readonly cwd?: string | undefined },
): string | undefined {
  const places = name.includes('/')
    ? [isAbsolute(name) ? name : join(cwd, name)]
    : path.split(':').map((one) => join(one === '' ? cwd : one, name));
  return places.find(isProgram);
}

/**
 * C3. Both sides are compared as what they really are, after every `..` and every symbolic link, at the moment of the start.
 * @param allowed names, looked up where this machine has its programs, or paths. @throws Refusal
 */
export function checkCommand(found: string, allowed: readonly string[]): void {
  const real = realpathSync(found);
  const isListed = allowed.some((name) => {
    const program = findProgram(name, {});
    return program !== undefined && realpathSync(program) === real;
  });
  if (isListed) return;
  const told = real === found ? found : `${found}, which is ${real},`;
  throw new Refusal(`command: ${told} is not on the node's list shell.commands`);
}

/**
 * C3. @param cwd where the job asks to start; the first of the list where it does not ask.
 * @returns the real path. @throws Refusal
 */
export function checkDirectory(cwd: string | undefined, allowed: readonly string[]): string {
  const roots = allowed.flatMap((one) => realDirectory(one) ?? []);
  const [first] = roots;
  if (first === undefined) throw new Refusal("cwd: none of the node's list shell.directories exists");
  if (cwd === undefined) return first;
  const real = realDirectory(cwd);
  if (real === undefined) throw new Refusal(`cwd: ${cwd} does not exist or is not a directory`);
  if (roots.some((root) => isWithin(real, root))) return real;
  const told = real === cwd ? cwd : `${cwd}, which is ${real},`;
  throw new Refusal(`cwd: ${told} is not within the node's list shell.directories`);
}

/** @returns undefined where it is no directory, or cannot be reached. */
export function realDirectory(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    return statSync(real).isDirectory() ? real : undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
}

/** @throws Refusal when this machine has no such user. */
export function userOf(name: string): SystemUser {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((text) => text.split(':'))
    .find(([first]) => first === name);
  if (line === undefined) throw new Refusal(`shell.user: this machine has no user ${name}`);
  return { name, uid: Number(line[2]), gid: Number(line[3]), home: line[5] ?? '/' };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}
