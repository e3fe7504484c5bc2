import { isAllowed, isRefused } from './variables.ts';

/** What a process may use; absent is no bound. */
export interface Limits {
  /** Of the whole attempt with a cgroup, of each process without. */
  readonly memoryBytes?: number;
  /** Processor time of each process. */
  readonly cpuSeconds?: number;
  /** Processes and threads of the whole attempt. */
  readonly pids?: number;
  /** Of each file written. */
  readonly fileBytes?: number;
}

export type LimitName = keyof Limits;
export const LIMIT_NAMES = ['memoryBytes', 'cpuSeconds', 'pids', 'fileBytes'] as const satisfies LimitName[];

export type SandboxLayer = 'none' | 'bwrap';

/** What a job asks for itself. Plain JSON. */
export interface Ask {
  /** Names of the variables that the job brings; the others are the agent's. */
  readonly variables: readonly string[];
  /** Absent where the owner decides. */
  readonly sandbox?: SandboxLayer;
  readonly isNetworked?: boolean;
  readonly limits?: Limits;
  /** A limit that no layer of this machine can hold keeps the job from starting, rather than being left out. */
  readonly isLimitRequired?: boolean;
}

/** What the owner of the machine decides about every job. Plain JSON. */
export interface WorkPolicy {
  /** Paths or names; null for any. */
  readonly commands: readonly string[] | null;
  readonly directories: readonly string[] | null;
  /** Names, or beginnings of names and `*`; null for any that are not refused. */
  readonly variables: readonly string[] | null;
  /** Whose the processes are; null for the agent's own user. */
  readonly user: string | null;
  readonly sandbox: {
    readonly layer: SandboxLayer;
    readonly isRequired: boolean;
    readonly writable: readonly string[];
    readonly isNetworked: boolean;
    /** Jobs outside of a sandbox find nothing in the agent's own directory either, where a layer can do that. */
    readonly isAgentHidden: boolean;
  };
  readonly limits: Limits;
  readonly maximums: Limits;
}

/** Nothing is refused but variables that change what a program is. */
export const OPEN_POLICY: WorkPolicy = {
  commands: null,
  directories: null,
  variables: null,
  user: null,
  sandbox: { layer: 'none', isRequired: false, writable: [], isNetworked: false, isAgentHidden: false },
  limits: {},
  maximums: {},
};

/** A directory of a control group in which this agent may make others. */
export interface CgroupBase {
  readonly version: 1 | 2;
  readonly path: string;
}

export interface HidingPrograms {
  readonly unshare: string;
  readonly mount: string;
}

/** What of this machine can hold a process, found out by trying. Plain JSON; programs are absolute paths. */
export interface Layers {
  readonly bwrap: string | null;
  /** Lowers limits inside a sandbox; outside, `ulimit` of the shell does. */
  readonly prlimit: string | null;
  /** Changes the user. */
  readonly setpriv: string | null;
  /** Give a process a view of the files of its own, in which a directory is empty. */
  readonly hide: HidingPrograms | null;
  readonly memory: CgroupBase | null;
  readonly pids: CgroupBase | null;
  readonly isRoot: boolean;
}

export const NO_LAYERS: Layers = {
  ...{ bwrap: null, prlimit: null, setpriv: null, hide: null, memory: null, pids: null, isRoot: false },
};

/** The layer that holds one limit. */
export type LimitLayer = 'cgroup' | 'prlimit';

/** How one attempt is held. */
export interface Plan {
  readonly isSandboxed: boolean;
  /** The agent's directory is empty for it, outside of a sandbox. */
  readonly isAgentHidden: boolean;
  readonly isNetworked: boolean;
  readonly limits: Limits;
  /** Who holds each limit; a limit that nobody can hold is in neither. */
  readonly holders: Readonly<Partial<Record<LimitName, LimitLayer>>>;
}

/** What an attempt is told that may not run here. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/**
 * C1. What the owner refuses is refused; what the owner or the job requires is there, or the attempt does not start.
 * @throws Refusal in words for people.
 */
export function planOf(ask: Ask, policy: WorkPolicy, layers: Layers): Plan {
  checkVariables(ask.variables, policy.variables);
  const isSandboxed = decideSandbox(ask, policy, layers);
  const limits = decideLimits(ask.limits ?? {}, policy);
  const holders = holdersOf(layers, { isSandboxed, hasOwnUser: policy.user !== null });
  const named = LIMIT_NAMES.filter((name) => limits[name] !== undefined);
  const unheld = named.filter((name) => holders[name] === undefined && ask.limits?.[name] !== undefined);
  if (ask.isLimitRequired === true && unheld.length > 0)
    throw new Refusal(`this machine has nothing that holds ${unheld.join(', ')}, which the job requires`);
  return {
    isSandboxed,
    isAgentHidden: !isSandboxed && hidesAgent(policy, layers),
    isNetworked: !isSandboxed || decideNetwork(ask, policy),
    limits,
    holders: Object.fromEntries(named.flatMap((name) => (holders[name] ? [[name, holders[name]]] : []))),
  };
}

/** Which layer holds which limit on such a machine. */
export function holdersOf(
  { memory, pids, prlimit, isRoot }: Layers,
  { isSandboxed, hasOwnUser }: { readonly isSandboxed: boolean; readonly hasOwnUser: boolean },
): Readonly<Partial<Record<LimitName, LimitLayer>>> {
  // The system counts processes by user: alone in a user namespace, that is the attempt; root is not counted at all.
  const isCounted = isSandboxed && prlimit !== null && (!isRoot || hasOwnUser);
  return {
    memoryBytes: memory === null ? 'prlimit' : 'cgroup',
    cpuSeconds: 'prlimit',
    fileBytes: 'prlimit',
    ...(pids !== null ? { pids: 'cgroup' } : isCounted && { pids: 'prlimit' }),
  };
}

/** C7. Whoever is another user cannot open the agent's files anyway; what hides them is also what its processes are found by (V2). */
export function hidesAgent({ user, sandbox }: WorkPolicy, { hide, isRoot }: Layers): boolean {
  return sandbox.isAgentHidden && hide !== null && (user === null || isRoot);
}

function checkVariables(given: readonly string[], allowed: readonly string[] | null): void {
  const refused = given.filter((name) => isRefused(name, allowed));
  if (refused.length > 0)
    throw new Refusal(
      `env: ${refused.join(', ')} would change what programs run, and is refused; the node's owner can allow it by name in shell.environment`,
    );
  if (allowed === null) return;
  const others = given.filter((name) => !isAllowed(name, allowed));
  if (others.length > 0)
    throw new Refusal(`env: ${others.join(', ')} is not on the node's list shell.environment`);
}

function decideSandbox({ sandbox: asked }: Ask, { sandbox }: WorkPolicy, { bwrap }: Layers): boolean {
  if (sandbox.isRequired && sandbox.layer === 'bwrap' && asked === 'none')
    throw new Refusal("sandbox: the node's owner has every job run in bwrap (sandbox.required)");
  if ((asked ?? sandbox.layer) === 'none') return false;
  if (bwrap !== null) return true;
  if (asked === 'bwrap')
    throw new Refusal('sandbox: this machine has no bwrap that works; see aspen-agent doctor');
  if (sandbox.isRequired)
    throw new Refusal(
      'sandbox: bwrap is required by the owner of this node and does not work; see aspen-agent doctor',
    );
  return false;
}

function decideNetwork({ isNetworked = false }: Ask, { sandbox }: WorkPolicy): boolean {
  if (isNetworked && !sandbox.isNetworked)
    throw new Refusal("network: the node's owner gives jobs in a sandbox no network (sandbox.network)");
  return isNetworked;
}

function decideLimits(asked: Limits, { limits, maximums }: WorkPolicy): Limits {
  const decided = LIMIT_NAMES.flatMap((name): [LimitName, number][] => {
    const most = maximums[name] ?? Number.POSITIVE_INFINITY;
    const wanted = asked[name];
    if (wanted !== undefined && wanted > most)
      throw new Refusal(`limits.${name}: ${wanted} is more than the ${most} that the node's owner allows`);
    const value = wanted ?? Math.min(limits[name] ?? most, most);
    return Number.isFinite(value) ? [[name, value]] : [];
  });
  return Object.fromEntries(decided);
}
