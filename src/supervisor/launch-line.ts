import { COVER_PREFIX, MARK_VARIABLE } from './census.ts';
import type { Layers, Limits, Plan } from './confinement.ts';

/** What is to be started, with every path looked up. */
export interface Launch {
  readonly file: string;
  readonly args: readonly string[];
  /** Real; absent where it does not matter. */
  readonly cwd?: string;
}

export interface Surroundings {
  readonly layers: Layers;
  /** Real paths that a job in a sandbox may change. */
  readonly writable: readonly string[];
  /** What the attempt may read in a sandbox as well, though it lies where the sandbox has something of its own. */
  readonly readable: readonly string[];
  /** The agent's own directory: a job in a sandbox finds nothing there. Real. */
  readonly hidden: string;
  /** Directories of control groups to enter. */
  readonly cgroups: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** Who starts it. */
  readonly self: { readonly uid: number; readonly gid: number };
}

/** What a private /tmp may hold. Unit: bytes. */
const PRIVATE_TMP_BYTES = 2 ** 30;
/** Where a sandbox has a file system of its own: scratch space, and the sockets of the machine's services. */
const PRIVATE_DIRECTORIES = ['/tmp', '/var/tmp', '/run', '/dev/shm'];
/** Where names are resolved with the help of a service. */
const RESOLVER_DIRECTORIES = ['/run/systemd/resolve', '/run/resolvconf', '/run/NetworkManager'];

/**
 * Enters control groups and lowers limits before anything of the job runs, then becomes the rest of the line. Limits of files count in blocks of 512
 * bytes, of memory in KiB; a soft limit is told to the program by a signal, the hard one, a second later, kills.
 */
const ENTER = `fail() { echo "not started: $1" >&2; exit 125; }
while [ "$1" != -- ]; do
  case "$1" in
    group) echo $$ >"$2/cgroup.procs" || fail "cannot enter $2" ;;
    cpu) { ulimit -St "$2" && ulimit -Ht $(($2 + 1)); } || fail "cannot limit processor time" ;;
    file) ulimit -f "$2" || fail "cannot limit files" ;;
    data) ulimit -d "$2" || fail "cannot limit memory" ;;
  esac
  shift 2
done
shift
ulimit -c 0
exec "$@"`;

/** Within a view of the files of its own: puts an empty directory, which nobody can write to and which names the attempt, over another. */
const HIDE = `"$1" -t tmpfs -o ro,size=4k "${COVER_PREFIX}$${MARK_VARIABLE}" "$2" || { echo "not started: cannot hide $2" >&2; exit 125; }
shift 2
exec "$@"`;

/** C2. @returns the whole line that starts a job as planned: groups and limits first, then its view of the files, its user, its sandbox, itself. */
export function launchLine({ file, args, cwd }: Launch, plan: Plan, around: Surroundings): readonly string[] {
  const { layers, user } = around;
  return [
    ...enterPart(plan, around.cgroups),
    ...(plan.isAgentHidden ? hidePart(around) : []),
    ...(user === null || layers.setpriv === null
      ? []
      : [layers.setpriv, '--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups', '--']),
    ...(plan.isSandboxed ? sandboxPart(plan, { ...around, cwd }) : []),
    file,
    ...args,
  ];
}

function enterPart({ limits, holders }: Plan, cgroups: readonly string[]): readonly string[] {
  const rules = [
    ...cgroups.flatMap((path) => ['group', path]),
    ...rlimit('cpu', limits.cpuSeconds),
    ...rlimit('file', limits.fileBytes, 512),
    ...(holders.memoryBytes === 'prlimit' ? rlimit('data', limits.memoryBytes, 1024) : []),
  ];
  return rules.length === 0 ? [] : ['/bin/sh', '-c', ENTER, 'aspen-enter', ...rules, '--'];
}

/**
 * C7. What is mounted from here on is seen by this attempt alone. Where the agent is not root, it is root of a user namespace for that moment, and in
 * the next one, which is the job's, itself again, without the power to undo it.
 */
function hidePart({ layers: { hide, isRoot }, hidden, self }: Surroundings): readonly string[] {
  if (hide === null) return [];
  const { unshare, mount } = hide;
  const own = ['--mount', '--propagation', 'slave', '--'];
  const cover = ['/bin/sh', '-c', HIDE, 'aspen-hide', mount, hidden];
  if (isRoot) return [unshare, ...own, ...cover];
  const again = ['--user', `--map-user=${self.uid}`, `--map-group=${self.gid}`, '--'];
  return [unshare, '--user', '--map-root-user', ...own, ...cover, unshare, ...again];
}

function rlimit(name: string, value: number | undefined, unit = 1): readonly string[] {
  return value === undefined ? [] : [name, String(Math.ceil(value / unit))];
}

function sandboxPart(
  { isNetworked, limits, holders }: Plan,
  { layers, writable, readable, hidden, cwd }: Surroundings & { readonly cwd: string | undefined },
): readonly string[] {
  const isAllWritable = writable.includes('/');
  const ownDirectories = isAllWritable ? [] : PRIVATE_DIRECTORIES;
  const tmpfs = ownDirectories.flatMap((path) => ['--size', `${PRIVATE_TMP_BYTES}`, '--tmpfs', path]);
  const isOwn = (path: string) => writable.some((one) => isWithin(path, one));
  const isLost = cwd !== undefined && PRIVATE_DIRECTORIES.some((one) => isWithin(cwd, one)) && !isOwn(cwd);
  return [
    layers.bwrap ?? 'bwrap',
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--die-with-parent', '--cap-drop', 'ALL'],
    ...(isNetworked ? [] : ['--unshare-net']),
    ...[isAllWritable ? '--bind' : '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ...tmpfs,
    ...(isNetworked ? RESOLVER_DIRECTORIES.flatMap((path) => ['--ro-bind-try', path, path]) : []),
    ...(isLost ? ['--ro-bind', cwd, cwd] : []),
    ...readable.flatMap((path) => ['--ro-bind', path, path]),
    ...writable.flatMap((path) => (path === '/' ? [] : ['--bind', path, path])),
    ...['--tmpfs', hidden],
    ...(cwd === undefined ? [] : ['--chdir', cwd]),
    '--',
    ...(holders.pids === 'prlimit' ? nprocPart(layers, limits) : []),
  ];
}

function nprocPart({ prlimit }: Layers, { pids }: Limits): readonly string[] {
  return prlimit === null || pids === undefined ? [] : [prlimit, `--nproc=${pids}`, '--'];
}

/** Both real paths. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}
