import type { Nemesis, NemesisContext } from '../nemesis.ts';
import {
  apply,
  bridge,
  freeBandwidth,
  type Inbound,
  limitBandwidth,
  majoritiesRing,
  oneWay,
  partition,
} from '../network-faults.ts';
import { Relay, type RelayOptions, relayNeeds } from '../relay.ts';

const SEEDS = 2 ** 30;
const FLAPS = 5;
const FLAP_MS = 700;
/** Enough for heartbeats, too little for comfort. */
const NARROW_KBIT = 512;

const isolateLeader: Nemesis = {
  name: 'isolate-leader',
  electionsAfterHeal: 1,
  run: async (context) => {
    context.markLoss();
    await under(context, partition(context.agents.length, [everybodyBut(context, context.leaderNumber)]));
  },
};

const isolateFollower: Nemesis = {
  name: 'isolate-follower',
  electionsAfterHeal: 1,
  run: (context) =>
    under(context, partition(context.agents.length, [everybodyBut(context, followerNumber(context))])),
};

const splitMajority: Nemesis = {
  name: 'split-majority',
  run: async (context) => {
    const count = context.agents.length;
    const order = [context.leaderNumber, ...everybodyBut(context, context.leaderNumber)];
    const minority = order.slice(0, Math.ceil(count / 2) - 1);
    context.markLoss();
    await under(context, partition(count, [minority, order.slice(minority.length)]));
  },
};

const bridgeOfOne: Nemesis = {
  name: 'bridge',
  run: (context) => under(context, bridge(context.agents.length, followerNumber(context))),
};

const ring: Nemesis = {
  name: 'majorities-ring',
  needs: ({ agents }) => (agents.length < 4 ? 'at least 4 agents (--nodes 5)' : undefined),
  run: (context) => under(context, majoritiesRing(context.agents.length)),
};

const deafLeader: Nemesis = {
  name: 'deaf-leader',
  run: (context) => under(context, oneWay(context.agents.length, context.leaderNumber, 'deaf')),
};

const muteLeader: Nemesis = {
  name: 'mute-leader',
  run: async (context) => {
    context.markLoss();
    await under(context, oneWay(context.agents.length, context.leaderNumber, 'mute'));
  },
};

const flapping: Nemesis = {
  name: 'flapping',
  run: async (context) => {
    const cut = partition(context.agents.length, [everybodyBut(context, context.leaderNumber)]);
    for (let flap = 0; flap < FLAPS; flap += 1) {
      await under(context, cut, FLAP_MS);
      await context.pause(FLAP_MS);
    }
  },
};

function loss(lossPercent: number): Nemesis {
  return {
    name: `loss-${lossPercent}`,
    run: (context) =>
      under(
        context,
        context.agents.map(() => ({ lossPercent })),
      ),
  };
}

const narrow: Nemesis = {
  name: 'narrow',
  run: async ({ machines, faultMs, pause }) => {
    limitBandwidth(machines, NARROW_KBIT);
    try {
      await pause(faultMs);
    } finally {
      freeBandwidth(machines);
    }
  },
};

/** Every packet takes its time. Nothing is lost, so nobody need be replaced for it. */
function delayed(name: string, options: Omit<RelayOptions, 'seed'>): Nemesis {
  return {
    name,
    needs: relayNeeds,
    run: async ({ machines, faultMs, pause, random }) => {
      await using _relay = await Relay.open(machines, { ...options, seed: random.below(SEEDS) });
      await pause(faultMs);
    },
  };
}

export const networkNemeses: readonly Nemesis[] = [
  isolateLeader,
  isolateFollower,
  splitMajority,
  bridgeOfOne,
  ring,
  deafLeader,
  muteLeader,
  flapping,
  loss(1),
  loss(10),
  loss(30),
  narrow,
  delayed('delay', { delayMs: 60, jitterMs: 0 }),
  delayed('reorder', { delayMs: 5, jitterMs: 60 }),
];

async function under(
  { machines, pause, faultMs }: NemesisContext,
  inbound: readonly Inbound[],
  lastingMs = faultMs,
): Promise<void> {
  try {
    apply(machines, inbound);
    await pause(lastingMs);
  } finally {
    apply(machines, []);
  }
}

function everybodyBut({ agents }: NemesisContext, left: number): number[] {
  return [...agents.keys()].filter((number) => number !== left);
}

function followerNumber(context: NemesisContext): number {
  return context.random.pick(everybodyBut(context, context.leaderNumber));
}
