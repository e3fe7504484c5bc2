import type { Agent } from '../../e2e/harness/index.ts';
import type { Nemesis, NemesisContext } from '../nemesis.ts';

/** How long a killed agent stays away. Unit: ms. */
const AWAY_MS = 2_000;
/** Longer than any lease or session: what the sleeper believed has ended when it wakes. Unit: ms. */
const SLEEP_MS = 10_000;

const killLeader: Nemesis = {
  name: 'kill-leader',
  run: async (context) => {
    await context.leader.kill9();
    context.markLoss();
    await restart(context, [context.leader]);
  },
};

const killFollower: Nemesis = {
  name: 'kill-follower',
  run: async (context) => {
    const victim = someFollower(context);
    await victim.kill9();
    await restart(context, [victim]);
  },
};

const killAll: Nemesis = {
  name: 'kill-all',
  run: async (context) => {
    await Promise.all(context.agents.map((agent) => agent.kill9()));
    context.markLoss();
    await restart(context, context.agents);
  },
};

const pauseLeader: Nemesis = {
  name: 'pause-leader',
  run: async (context) => {
    context.markLoss();
    await sleepTight(context, context.leader);
  },
};

const pauseFollower: Nemesis = {
  name: 'pause-follower',
  run: (context) => sleepTight(context, someFollower(context)),
};

export const processNemeses: readonly Nemesis[] = [
  killLeader,
  killFollower,
  killAll,
  pauseLeader,
  pauseFollower,
];

function someFollower({ agents, leader, random }: NemesisContext): Agent {
  return random.pick(agents.filter((agent) => agent !== leader));
}

async function restart(context: NemesisContext, agents: readonly Agent[]): Promise<void> {
  await context.pause(AWAY_MS);
  for (const agent of agents) agent.endOrphans();
  await Promise.all(agents.map((agent) => agent.up()));
}

async function sleepTight({ pause }: NemesisContext, agent: Agent): Promise<void> {
  agent.signal('SIGSTOP');
  try {
    await pause(SLEEP_MS);
  } finally {
    agent.signal('SIGCONT');
  }
}
