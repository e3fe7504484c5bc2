import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Census, MARK_VARIABLE, marksOfView, type SeenProcess } from './census.ts';

const MARK_PREFIX = `${MARK_VARIABLE}=`;

/** The processes of this machine, from /proc. */
export class OsCensus implements Census {
  take(): readonly SeenProcess[] | null {
    if (process.platform !== 'linux') return null;
    const views = new Views();
    return readdirSync('/proc').flatMap((entry) => {
      const pid = Number(entry);
      if (!Number.isInteger(pid)) return [];
      const stat = readProcessStat(pid);
      return stat === undefined
        ? []
        : [{ ...stat, marks: [...marksInEnvironment(pid), ...views.marksOf(pid)] }];
    });
  }

  signal(
    { pid, startTicks }: Pick<SeenProcess, 'pid' | 'startTicks'>,
    signal: 'SIGTERM' | 'SIGKILL',
  ): boolean {
    if (readProcessStat(pid)?.startTicks !== startTicks) return true;
    try {
      return process.kill(pid, signal);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ESRCH') return true;
      if (code === 'EPERM') return false;
      throw error;
    }
  }
}

/** Views of the files that processes have in one look: their numbers are given again to others, so nothing is kept for the next. */
class Views {
  readonly #own = viewOf('self');
  readonly #marks = new Map<string, readonly string[]>();

  /** Whoever sees what this process sees belongs to no attempt by that. */
  marksOf(pid: number): readonly string[] {
    const view = viewOf(pid);
    if (view === this.#own || view === '') return [];
    const known = this.#marks.get(view);
    if (known !== undefined) return known;
    const text = readOf(`/proc/${pid}/mountinfo`);
    const marks = marksOfView(text);
    if (text !== '') this.#marks.set(view, marks); // otherwise it has just ended, and another may tell
    return marks;
  }
}

/** @returns a name of the mount namespace; empty for what ended meanwhile, or is not ours to look at. */
function viewOf(pid: number | 'self'): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return '';
  }
}

/** @returns whether a process of that group is more than a zombie. */
export function hasLivingMember(groupId: number): boolean {
  const isMember = (pid: number) => Number.isInteger(pid) && readProcessStat(pid)?.groupId === groupId;
  return readdirSync('/proc').some((entry) => isMember(Number(entry)));
}

/** @returns undefined when there is no such process, or a zombie. */
export function readProcessStat(pid: number): Omit<SeenProcess, 'marks'> | undefined {
  const text = readOf(`/proc/${pid}/stat`);
  const commandEnd = text.lastIndexOf(')');
  if (commandEnd < 0) return undefined;
  // After the command, which may hold anything: state is field 3, the parent 4, group 5, session 6, start time 22.
  const fields = text.slice(commandEnd + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return {
    pid,
    parentPid: Number(fields[1]),
    groupId: Number(fields[2]),
    sessionId: Number(fields[3]),
    startTicks: Number(fields[19]),
    command: text.slice(text.indexOf('(') + 1, commandEnd),
  };
}

function marksInEnvironment(pid: number): readonly string[] {
  const environment = readOf(`/proc/${pid}/environ`);
  const at = environment.startsWith(MARK_PREFIX) ? 0 : environment.indexOf(`\0${MARK_PREFIX}`) + 1;
  if (at === 0 && !environment.startsWith(MARK_PREFIX)) return [];
  const end = environment.indexOf('\0', at);
  return [environment.slice(at + MARK_PREFIX.length, end < 0 ? undefined : end)];
}

/** @returns the empty string for what ended meanwhile, or is not ours to read. */
function readOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return '';
  }
}

/**
 * Asks the processes inside a sandbox to end. The leader of their group is the sandbox itself: asked to end, it would at once, and kill them all
 * before they have cleaned up. It ends with its program.
 */
export function signalInsiders(leaderPid: number): void {
  const census = new OsCensus();
  for (const seen of census.take() ?? []) {
    if (seen.groupId === leaderPid && seen.pid !== leaderPid) census.signal(seen, 'SIGTERM');
  }
}
