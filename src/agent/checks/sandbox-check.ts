import {
  hidesAgent,
  holdersOf,
  type Layers,
  type LimitName,
  type WorkPolicy,
} from '../../supervisor/index.ts';
import type { Check, Finding } from '../doctor.ts';

/** What a look at the machine found, beside the layers themselves: why one is not there. */
export interface SandboxFacts {
  readonly layers: Layers;
  readonly why: Readonly<Partial<Record<keyof Layers, string>>>;
  readonly policy: WorkPolicy;
}

const LIMIT_TEXTS: Readonly<Record<LimitName, readonly [name: string, whole: string, each: string]>> = {
  memoryBytes: ['memory', 'of each job', 'of each process of a job'],
  cpuSeconds: ['cpu', 'of each process of a job', 'of each process of a job'],
  pids: ['processes', 'of each job', 'of each job in a sandbox'],
  fileBytes: ['files', 'of each file', 'of each file'],
};

/** Which layers hold the work on this machine, and what none of them does. */
export function sandboxCheck(facts: SandboxFacts): Check {
  return {
    name: 'sandbox',
    run: async () => [
      bwrapFinding(facts),
      ...limitFindings(facts),
      dataFinding(facts),
      processesFinding(facts),
      ...userFindings(facts),
    ],
  };
}

function bwrapFinding({ layers, why, policy: { sandbox } }: SandboxFacts): Finding {
  const name = 'sandbox.bwrap';
  if (layers.bwrap !== null) {
    const use = sandbox.layer === 'bwrap' ? 'every job runs in it' : 'jobs run in it that ask for it';
    return { name, status: 'ok', detail: `${layers.bwrap} works; ${use}`, mend: null };
  }
  const isNeeded = sandbox.layer === 'bwrap' && sandbox.isRequired;
  return {
    name,
    status: isNeeded ? 'fail' : 'warn',
    detail: `${why.bwrap}${isNeeded ? '; sandbox.required is set: this node runs no shell jobs' : ''}`,
    mend: 'install bubblewrap, and allow user namespaces where the agent is not root',
  };
}

function limitFindings({ layers, why, policy }: SandboxFacts): Finding[] {
  const isSandboxed = policy.sandbox.layer === 'bwrap' && layers.bwrap !== null;
  const holders = holdersOf(layers, { isSandboxed, hasOwnUser: policy.user !== null });
  return (Object.keys(LIMIT_TEXTS) as LimitName[]).map((limit): Finding => {
    const [word, whole, each] = LIMIT_TEXTS[limit];
    const name = `limits.${word}`;
    const holder = holders[limit];
    if (holder !== undefined)
      return {
        name,
        status: 'ok',
        detail: `${holder} holds it, ${holder === 'cgroup' ? whole : each}`,
        mend: null,
      };
    const isSet = policy.limits[limit] !== undefined || policy.maximums[limit] !== undefined;
    return {
      name,
      status: isSet ? 'fail' : 'warn',
      detail: `nothing holds it: ${why[limit === 'memoryBytes' ? 'memory' : 'pids'] ?? 'no layer'}`,
      mend: 'give the agent a control group of its own (systemd: Delegate=yes and DelegateSubgroup=agent)',
    };
  });
}

function dataFinding({ layers, why, policy }: SandboxFacts): Finding {
  const { sandbox, user } = policy;
  const name = 'sandbox.data-directory';
  if (sandbox.layer === 'bwrap' && layers.bwrap !== null)
    return { name, status: 'ok', detail: "bwrap hides the agent's own files from jobs", mend: null };
  if (user !== null && layers.setpriv !== null)
    return {
      name,
      status: 'ok',
      detail: `jobs belong to ${user}, who cannot open the agent's own files`,
      mend: null,
    };
  if (hidesAgent(policy, layers))
    return {
      name,
      status: 'ok',
      detail: `unshare hides the agent's own files from jobs${layers.isRoot ? '; one that is root can undo that on purpose' : ''}`,
      mend: null,
    };
  const missing = policy.sandbox.isAgentHidden && why.hide !== undefined ? `: ${why.hide}` : '';
  return {
    name,
    status: 'warn',
    detail: `a job outside a sandbox may read and write what the agent's user may, the agent's own files included${missing}`,
    mend: 'sandbox: {layer: bwrap} in aspen.yaml, or shell: {user: ...} where the agent is root',
  };
}

/** What is known of processes that clean their environment, begin a session of their own and lose their parents. */
function processesFinding({ layers, policy }: SandboxFacts): Finding {
  const name = 'sandbox.processes';
  const ok = (detail: string): Finding => ({ name, status: 'ok', detail, mend: null });
  if (policy.sandbox.layer === 'bwrap' && layers.bwrap !== null)
    return ok('bwrap ends all processes of a job, and keeps it from those of others');
  if (hidesAgent(policy, layers)) {
    const canLeave = layers.isRoot && policy.user === null;
    return ok(
      `all processes of a job are found by their view of the files, and ended${canLeave ? '; one that is root can leave it on purpose' : ''}`,
    );
  }
  return {
    name,
    status: 'warn',
    detail:
      'a process that leaves its session, cleans its environment and loses its parents is not found when its job ends',
    mend: 'sandbox: {layer: bwrap}, or {hideAgent: true} where unshare and mount work',
  };
}

function userFindings({ layers, why, policy: { user } }: SandboxFacts): Finding[] {
  if (user === null) return [];
  const name = 'shell.user';
  if (layers.setpriv !== null)
    return [{ name, status: 'ok', detail: `shell jobs run as ${user}`, mend: null }];
  const detail = `shell jobs cannot run as ${user}, and do not run at all: ${why.setpriv}`;
  return [
    {
      name,
      status: 'fail',
      detail,
      mend: 'run the agent as root with util-linux installed, or take shell.user out of aspen.yaml',
    },
  ];
}
