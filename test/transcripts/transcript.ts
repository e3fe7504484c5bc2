/**
 * Replays a transcript: commands at the left margin, what the cores did indented below each. `README.md` lists the commands.
 */
import type { PeerId } from '../../src/base/brand.ts';
import type { Message } from '../../src/lease/raft/index.ts';
import { Group, type GroupOptions } from './group.ts';
import { configurationWords, entryWords } from './words.ts';

type Command = (group: Group, words: readonly string[]) => void;

/** @returns the transcript with all indented lines made anew. @throws Error naming the line of a command that cannot be done. */
export function replay(transcript: string): string {
  const lines: string[] = [];
  let group: Group | undefined;
  for (const [at, line] of transcript.split('\n').entries()) {
    if (line.startsWith('  ')) continue;
    lines.push(line);
    if (line === '' || line.startsWith('#')) continue;
    try {
      group = run(line.trim().split(/\s+/), group);
    } catch (error) {
      throw new Error(`line ${at + 1}, ${line}`, { cause: error });
    }
    lines.push(...group.takeSaid().map((said) => `  ${said}`));
  }
  return lines.join('\n');
}

function run([name = '', ...words]: readonly string[], group: Group | undefined): Group {
  if (name === 'start') return begin(words);
  if (group === undefined) throw new Error('a transcript begins with start');
  const command = COMMANDS[name];
  if (command === undefined)
    throw new Error(`no command is called ${name}: ${Object.keys(COMMANDS).join(' ')}`);
  command(group, words);
  return group;
}

/** `start 1 2 3 learners 4 strangers 5 with electionTicks=5 lease` */
function begin(words: readonly string[]): Group {
  const parts = partsOf(words, ['voters', 'learners', 'strangers', 'with'], 'voters');
  const { voters = [], learners = [], strangers = [] } = parts;
  const configuration = { voters: voters as PeerId[], outgoing: [], learners: learners as PeerId[] };
  const group = new Group(
    [...voters, ...learners, ...strangers],
    configuration,
    optionsOf(parts['with'] ?? []),
  );
  return group;
}

function optionsOf(words: readonly string[]): GroupOptions {
  const pairs = words.map((word) => {
    const [name = '', value] = word.split('=');
    return name === 'lease' ? ['hasLease', true] : [name, Number(value)];
  });
  return Object.fromEntries(pairs) as GroupOptions;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  tick: (group, [name = '', count = '1']) => {
    for (let tick = 0; tick < Number(count); tick += 1) group.on(name, (raft) => raft.tick());
  },
  pass: (group, [count = '1']) => {
    for (let tick = 0; tick < Number(count); tick += 1) {
      for (const name of group.names) group.on(name, (raft) => raft.tick());
      group.stabilise();
    }
  },
  elect: (group, [name = '']) => {
    group.silently(() => {
      group.on(name, (raft) => raft.campaign());
      group.stabilise();
    });
    const { role, term } = group.node(name).raft.state;
    group.say(
      `${name} ${role === 'leader' ? 'leads' : 'does not lead'} term ${term}, and all have heard of it`,
    );
  },
  campaign: (group, [name = '']) => group.on(name, (raft) => raft.campaign()),
  propose: (group, [name = '', ...words]) => group.propose(name, words),
  change: (group, [name = '', ...words]) =>
    group.change(name, partsOf(words, ['addLearners', 'promote', 'demote', 'remove'])),
  transfer: (group, [from = '', to = '']) =>
    group.on(from, (raft) => {
      if (!raft.transferLeadership(to as PeerId)) group.say(`${from} refuses`);
    }),
  read: (group, [name = '', ...contexts]) =>
    group.on(name, (raft) => {
      for (const context of contexts) if (!raft.requestRead(Number(context))) group.say(`${name} refuses`);
    }),
  lease: (group, [name = '']) => {
    const until = group.node(name).raft.state.leaseUntilMs;
    group.say(
      until === undefined
        ? `${name} has no lease at ${group.nowMs} ms`
        : `${name} may answer reads by lease from ${group.nowMs} until ${until} ms`,
    );
  },
  clock: (group, [byMs = '0']) => {
    group.nowMs += Number(byMs);
  },
  deliver: (group, words) => group.deliver(meantBy(words)),
  drop: (group, words) => group.drop(meantBy(words)),
  stabilise: (group) => group.stabilise(),
  cut: (group, words) => {
    for (const [from, to] of linksOf(words)) group.cut(from, to);
  },
  isolate: (group, [name = '']) => {
    for (const other of group.names)
      for (const [from, to] of [
        [name, other],
        [other, name],
      ] as const)
        group.cut(from, to);
  },
  heal: (group) => group.heal(),
  unreachable: (group, [name = '', peer = '']) =>
    group.on(name, (raft) => raft.reportUnreachable(peer as PeerId)),
  slow: (group, [name = '']) => {
    group.node(name).isSlow = true;
  },
  write: (group, [name = '']) => group.write(name),
  restart: (group, [name = '']) => group.restart(name),
  compact: (group, [name = '', index = '']) => group.compact(name, Number(index)),
  snapshot: (group, [link = '']) => {
    const [[from, to] = ['', '']] = linksOf([link]);
    group.snapshot(from, to);
  },
  silently: (group, words) => group.silently(() => run(words, group)),
  quietly: (group, words) => group.quietly(() => run(words, group)),
  log: (group, [name = '']) => {
    const { disk } = group.node(name);
    const entries = disk.entries(
      disk.firstIndex(),
      (disk.lastIndex() + 1) as never,
      Number.POSITIVE_INFINITY,
    );
    group.say(entries.map(entryWords).join(', ') || 'nothing');
  },
  status: (group) => {
    for (const name of group.names) {
      const { role, term, leader, commitIndex, lastIndex, configuration } = group.node(name).raft.state;
      const of = role === 'follower' ? ` of ${leader ?? 'nobody'}` : '';
      group.say(
        `${name} ${role}${of}, term ${term}, commit ${commitIndex} of ${lastIndex}, ${configurationWords(configuration)}`,
      );
    }
  },
  progress: (group, [name = '']) => {
    for (const [peer, { mode, matchIndex, nextIndex, isRecentlyActive }] of group.node(name).raft.state
      .progress)
      group.say(
        `${peer} ${mode}, match ${matchIndex}, next ${nextIndex}${isRecentlyActive ? '' : ', silent'}`,
      );
  },
};

/** `promote 4 5 remove 2` as lists by their heading. */
function partsOf(
  words: readonly string[],
  headings: readonly string[],
  first?: string,
): Record<string, PeerId[]> {
  const parts: Record<string, PeerId[]> = {};
  let heading = first;
  for (const word of words) {
    if (headings.includes(word)) heading = word;
    else if (heading === undefined) throw new Error(`${word} must come after one of ${headings.join(' ')}`);
    else parts[heading] = [...(parts[heading] ?? []), word as PeerId];
  }
  return parts;
}

/** `1->2` is one direction, `1-2` both. */
function linksOf(words: readonly string[]): [string, string][] {
  return words.flatMap((word): [string, string][] => {
    const [, from = '', way, to = ''] = word.match(/^(\d)(->|-)(\d)$/) ?? [];
    if (way === undefined) throw new Error(`${word} must be a link, like 1->2 or 1-2`);
    return way === '->'
      ? [[from, to]]
      : [
          [from, to],
          [to, from],
        ];
  });
}

/** No words: every message. Links, and types of messages, choose. */
function meantBy(words: readonly string[]): (message: Message) => boolean {
  const links = linksOf(words.filter((word) => /^\d/.test(word)));
  const types = words.filter((word) => !/^\d/.test(word));
  return ({ from, to, type }) =>
    (links.length === 0 || links.some(([a, b]) => a === from && b === to)) &&
    (types.length === 0 || types.includes(type));
}
