/** A process as a look over the whole machine shows it. */
export interface SeenProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly groupId: number;
  readonly sessionId: number;
  /** Since the start of the machine, in the system's ticks; tells two owners of one pid apart. */
  readonly startTicks: number;
  readonly command: string;
  /** Marks of the attempts it belongs to: in its environment, and in its view of the files; none where neither can be read. */
  readonly marks: readonly string[];
}

/** Names the attempt that a process belongs to, in the environment that children inherit. */
export const MARK_VARIABLE = 'ASPEN_ATTEMPT_MARK';
/**
 * Begins the name of what covers the agent's directory in the view of an attempt; its mark follows. Children have the same view, or a copy of it, whatever
 * they do to their environment, group or session; only who may unmount it can be without.
 */
export const COVER_PREFIX = 'aspen-hidden-';

/** Looks at the processes of a machine, and signals them. */
export interface Census {
  /** Living processes; zombies are gone already. @returns null where the system does not show them. */
  take(): readonly SeenProcess[] | null;
  /** @returns whether it was sent, or nobody is there any more; false when it is not this user's to signal. */
  signal(process: Pick<SeenProcess, 'pid' | 'startTicks'>, signal: 'SIGTERM' | 'SIGKILL'): boolean;
}

/** What the processes of one attempt are known by. */
export interface Belonging {
  readonly mark: string;
  /** Leader of the attempt's group and session; undefined when it never started. */
  readonly leaderPid: number | undefined;
  /** When the leader was gone its number may be another's: then only the mark and `known` count. */
  readonly isLeaderAlive: boolean;
  /** Seen before as its own: `pid/startTicks`. */
  readonly known: ReadonlySet<string>;
  /** Numbers of those that a layer keeps together. */
  readonly members?: ReadonlySet<number> | undefined;
}

/**
 * V2. The processes of an attempt: those that carry its mark, those of its leader's group and session while the leader lives, those known
 * from an earlier look, those that a layer keeps together, and the descendants of all these. A child that left the group is found by its mark; one that cleaned its environment as
 * well, by its view of the files where the agent's directory is covered in it, elsewhere by its ancestors while they live.
 */
export function processesOf(
  { mark, leaderPid, isLeaderAlive, known, members }: Belonging,
  census: readonly SeenProcess[],
): readonly SeenProcess[] {
  const isOwn = (seen: SeenProcess) =>
    seen.marks.includes(mark) ||
    members?.has(seen.pid) === true ||
    known.has(nameOfProcess(seen)) ||
    (isLeaderAlive && [seen.pid, seen.groupId, seen.sessionId].includes(leaderPid ?? Number.NaN));
  const own = new Map(census.filter(isOwn).map((seen) => [seen.pid, seen]));
  const childrenOf = Map.groupBy(census, ({ parentPid }) => parentPid);
  const queue = [...own.keys()];
  for (let pid = queue.pop(); pid !== undefined; pid = queue.pop()) {
    for (const child of childrenOf.get(pid) ?? []) {
      if (own.has(child.pid)) continue;
      own.set(child.pid, child);
      queue.push(child.pid);
    }
  }
  return [...own.values()];
}

/** @returns a name that no other process of this run of the machine ever has. */
export function nameOfProcess({ pid, startTicks }: Pick<SeenProcess, 'pid' | 'startTicks'>): string {
  return `${pid}/${startTicks}`;
}

/** @param mountinfo the text of `/proc/PID/mountinfo`. @returns marks of the attempts whose view it is; several where agents run within jobs of others. */
export function marksOfView(mountinfo: string): readonly string[] {
  return [...mountinfo.matchAll(COVERS)].map(([, mark = '']) => mark);
}

const COVERS = new RegExp(` - tmpfs ${COVER_PREFIX}(\\S+) `, 'g');
