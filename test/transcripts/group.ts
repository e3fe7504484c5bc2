/**
 * A few pure cores with their disks and the links between them, moved by commands only; tells all that they do.
 * Messages wait on their links until they are delivered; disks write at once, unless they are slow.
 */
import type { LogIndex, PeerId, Term } from '../../src/base/brand.ts';
import { SeededRandom } from '../../src/base/random.ts';
import {
  type Configuration,
  type ConfigurationChange,
  type Entry,
  type Message,
  Raft,
  type RaftOptions,
  type Ready,
} from '../../src/lease/raft/index.ts';
import { Disk } from '../sim/raft/disk.ts';
import { entryWords, messageWords, persistWords, roleWords } from './words.ts';

/** Messages delivered by one command before the cores count as talking for ever. */
const DELIVERIES_LIMIT = 2_000;

export interface GroupOptions extends Omit<Partial<RaftOptions>, 'self'> {
  /** Whether leaders hold leases, by the clock of the group. */
  readonly hasLease?: boolean;
}

interface Node {
  readonly id: PeerId;
  readonly disk: Disk;
  raft: Raft;
  isSlow: boolean;
  /** Handed out, and not written yet; oldest first. */
  unwritten: Ready[];
  shownRole: string;
  shownModes: Map<PeerId, string>;
}

export class Group {
  readonly #nodes = new Map<string, Node>();
  readonly #options: GroupOptions;
  readonly #cuts = new Set<string>();
  #onTheWay: Message[] = [];
  #said: string[] = [];
  #isQuiet = false;
  nowMs = 0;

  constructor(names: readonly string[], configuration: Configuration, options: GroupOptions) {
    this.#options = options;
    for (const name of names) {
      const id = name as PeerId;
      const isMember = [...configuration.voters, ...configuration.learners].includes(id);
      const disk = new Disk(isMember ? configuration : { voters: [], outgoing: [], learners: [] });
      const raft = this.#boot(id, disk);
      const shownRole = roleWords(raft.state);
      this.#nodes.set(name, {
        id,
        disk,
        raft,
        isSlow: false,
        unwritten: [],
        shownRole,
        shownModes: new Map(),
      });
    }
  }

  get names(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  /** @returns what was told since the last call. */
  takeSaid(): readonly string[] {
    const said = this.#said;
    this.#said = [];
    return said;
  }

  /** Does something to one core, then all that the core is due to do. */
  on(name: string, action: (raft: Raft) => void): void {
    const node = this.node(name);
    action(node.raft);
    this.#work(node);
  }

  /** Does something of which messages are not told. */
  quietly(action: () => void): void {
    this.#isQuiet = true;
    action();
    this.#isQuiet = false;
  }

  /** Does something of which nothing is told. */
  silently(action: () => void): void {
    const said = this.takeSaid();
    action();
    this.#said = [...said];
  }

  node(name: string): Node {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node is called ${name}: ${this.names.join(' ')}`);
    return node;
  }

  say(line: string): void {
    this.#said.push(line);
  }

  propose(name: string, words: readonly string[]): void {
    const payloads = words.map((word) => new TextEncoder().encode(word));
    this.on(name, (raft) => this.#sayRefusal(name, raft.propose(payloads)));
  }

  change(name: string, change: ConfigurationChange): void {
    this.on(name, (raft) => this.#sayRefusal(name, raft.proposeConfiguration(change)));
  }

  // ---- links

  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  /** Delivers what waits on the links that `isMeant`, in the order of sending; what is sent meanwhile waits. */
  deliver(isMeant: (message: Message) => boolean): void {
    const due = this.#onTheWay.filter(isMeant);
    this.#onTheWay = this.#onTheWay.filter((message) => !isMeant(message));
    for (const message of due) {
      if (!this.#isQuiet) this.say(`${message.to} <- ${message.from} ${message.type}`);
      this.on(message.to, (raft) => raft.step(message));
    }
  }

  /** Delivers until nobody has anything to say. */
  stabilise(): void {
    for (let count = 0; this.#onTheWay.length > 0; count += 1) {
      if (count > DELIVERIES_LIMIT) throw new Error('the cores never stop talking');
      const [first] = this.#onTheWay;
      this.deliver((message) => message === first);
    }
  }

  drop(isMeant: (message: Message) => boolean): void {
    for (const message of this.#onTheWay.filter(isMeant))
      this.say(`lost: ${message.from} -> ${message.to} ${message.type}`);
    this.#onTheWay = this.#onTheWay.filter((message) => !isMeant(message));
  }

  // ---- disks

  /** The oldest write that waits reaches the disk. */
  write(name: string): void {
    const node = this.node(name);
    const ready = node.unwritten.shift();
    if (ready === undefined) throw new Error(`nothing waits for the disk of ${name}`);
    this.#write(node, ready);
    this.#work(node);
  }

  /** The process ends, with all that was not written, and starts again. */
  restart(name: string): void {
    const node = this.node(name);
    node.unwritten = [];
    node.raft = this.#boot(node.id, node.disk);
    node.shownModes = new Map();
    const { term, lastIndex, commitIndex } = node.raft.state;
    this.say(`${name} is back: term ${term}, log up to ${lastIndex}, commit ${commitIndex}`);
    node.shownRole = roleWords(node.raft.state);
    this.#work(node);
  }

  compact(name: string, index: number): void {
    const { disk } = this.node(name);
    disk.compact(index, disk.configurationAt(index));
    this.say(`${name} keeps ${disk.firstIndex()} to ${disk.lastIndex()}`);
  }

  /** Carries the state of one node to another, as the driver of the leader does when the core names a peer. */
  snapshot(from: string, to: string): void {
    const { machine } = this.node(from).disk;
    const { index, term, configuration } = machine;
    const meta = { index: index as LogIndex, term: term as Term, configuration };
    const { raft, disk } = this.node(to);
    const isWanted = raft.beginSnapshot(meta);
    this.say(
      `${to} ${isWanted ? 'puts' : 'has no use for'} the state up to ${index}/${term}${isWanted ? ' in place' : ''}`,
    );
    if (isWanted) {
      disk.install({ meta, state: machine });
      raft.installSnapshot(meta);
    }
    this.#work(this.node(to));
    this.on(from, (leader) => leader.reportSnapshot(to as PeerId, { index: meta.index }));
  }

  // ---- duties

  #boot(self: PeerId, disk: Disk): Raft {
    const { hasLease, ...options } = this.#options;
    return new Raft(
      { ...options, self },
      {
        random: new SeededRandom(Number(self)),
        log: disk,
        ...(hasLease ? { monotonicMs: () => this.nowMs } : {}),
      },
      {
        hardState: disk.hardState,
        configuration: disk.latestConfiguration(),
        appliedIndex: disk.machine.index as LogIndex,
      },
    );
  }

  #work(node: Node): void {
    this.#showRole(node);
    while (node.raft.hasReady()) {
      const ready = node.raft.takeReady();
      this.#showRole(node);
      for (const message of ready.send) this.#send(message);
      if (ready.persist !== null && node.isSlow) {
        node.unwritten.push(ready);
        this.say(`${node.id} has to write ${persistWords(ready.persist)}`);
      } else {
        this.#write(node, ready);
      }
      this.#apply(node, ready.commit);
      this.#tellDriver(node, ready);
      this.#showRole(node);
    }
    this.#showModes(node);
  }

  #write(node: Node, { persist, sequence, sendAfterPersist }: Ready): void {
    if (persist === null) return;
    node.disk.write(persist);
    this.say(`${node.id} writes ${persistWords(persist)}`);
    for (const message of sendAfterPersist) this.#send(message);
    node.raft.persisted(sequence);
  }

  #apply({ id, disk, raft }: Node, entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.say(`${id} applies ${entries.map(entryWords).join(', ')}`);
    const configuration =
      entries.findLast((entry) => entry.configuration)?.configuration ?? disk.machine.configuration;
    disk.machine = { index: last.index, term: last.term, chain: 0, configuration };
    raft.applied(last.index);
  }

  #tellDriver({ id }: Node, { reads, failedReads, snapshotTo }: Ready): void {
    for (const { context, index } of reads) this.say(`${id} answers read ${context} at ${index}`);
    for (const context of failedReads) this.say(`${id} fails read ${context}`);
    for (const peer of snapshotTo) this.say(`${id} owes ${peer} a snapshot`);
  }

  #send(message: Message): void {
    const { from, to } = message;
    const isCut = this.#cuts.has(`${from}>${to}`);
    if (!this.#isQuiet) this.say(`${from} ${isCut ? '-x' : '->'} ${to} ${messageWords(message)}`);
    if (!isCut) this.#onTheWay.push(message);
  }

  #showRole(node: Node): void {
    const role = roleWords(node.raft.state);
    if (role !== node.shownRole) this.say(`${node.id} ${role}`);
    node.shownRole = role;
  }

  #showModes(node: Node): void {
    const { progress } = node.raft.state;
    for (const [peer, { mode, matchIndex }] of progress) {
      if ((node.shownModes.get(peer) ?? 'probe') !== mode)
        this.say(`${node.id} now treats ${peer} as ${mode}, sure of ${matchIndex}`);
    }
    node.shownModes = new Map([...progress].map(([peer, { mode }]) => [peer, mode]));
  }

  #sayRefusal(name: string, result: object): void {
    if ('refused' in result) this.say(`${name} refuses: ${String(result.refused)}`);
  }
}
