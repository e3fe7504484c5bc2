import {
  AspenError,
  type Random,
  randomChance,
  randomFloat,
  randomInt,
  randomPick,
  randomShuffle,
} from '../../../src/base/index.ts';
import type { KvInput, KvOutput, Operation, RegisterInput } from '../check/index.ts';
import { changesOf, performKv } from './kv-calls.ts';
import type { World } from './world.ts';

export const REGISTER_KEYS = ['r/a', 'r/b', 'r/c'];
/** Keys that transactions change together, and others one by one. */
export const JOINT_KEYS = ['t/a', 't/b', 't/c'];
/** Keys that are written once, so that whatever was acknowledged can be looked for at the end. */
export const SURVEYED_PREFIX = 'w/';
/** Longest pause of a client between two calls. Unit: ms. */
const LONGEST_PAUSE_MS = 600;
const SCAN_PAGE = 100;
/** Share of reads that a leader may answer by its lease. */
const LEASE_READS = 0.25;

type RecordedOperation = Operation<KvInput, KvOutput>;

/**
 * Clients of the key-value store on whichever node chance names, and the history of what they saw. A call whose outcome is unknown stays in
 * the history without a result; one that was refused never happened.
 */
export class KvClients {
  readonly #world: World;
  readonly #random: Random;
  readonly #history = new Set<RecordedOperation>();
  #lastWrite = 0;

  constructor(components: { readonly world: World; readonly random: Random }) {
    this.#world = components.world;
    this.#random = components.random;
  }

  get history(): readonly RecordedOperation[] {
    return [...this.#history];
  }

  /** One client: one call after the other until `untilMs`. */
  async run(client: string, untilMs: number): Promise<void> {
    const world = this.#world;
    while (world.nowMs < untilMs) {
      const node = world.pickNode(this.#random).name;
      await this.#callSomething(client, node);
      await world.pause(randomFloat(this.#random) * LONGEST_PAUSE_MS);
    }
  }

  /** Reads every register through every member, and looks for all surveyed writes there. */
  async surveyAll(): Promise<void> {
    for (const { name } of this.#world.members) {
      for (const key of [...REGISTER_KEYS, ...JOINT_KEYS])
        await this.#record(`survey ${name}`, name, { type: 'get', key });
      const writes = await this.#insist(() => this.#surveyedKeys(name));
      this.#world.observe({ type: 'surveyed', node: name, writes });
    }
  }

  async #callSomething(client: string, node: string): Promise<void> {
    const draw = randomFloat(this.#random);
    if (draw < 0.2) return this.#writeOnce(node);
    if (draw < 0.25) return this.#scan(client, node);
    if (draw < 0.4) return this.#changeTogether(client, node);
    const keys = draw < 0.5 ? JOINT_KEYS : REGISTER_KEYS;
    await this.#record(client, node, this.#drawInput(randomPick(this.#random, keys) as string));
  }

  /** Reads all joint keys at one moment, and changes two of them if one is still as it was then. */
  async #changeTogether(client: string, node: string): Promise<void> {
    const success = JOINT_KEYS.map((key) => ({ type: 'get', key }) as const);
    const seen = await this.#record(client, node, { type: 'transaction', compare: [], success, failure: [] });
    if (seen === undefined) return;
    await this.#world.pause(randomFloat(this.#random) * LONGEST_PAUSE_MS);
    const [at, other] = randomShuffle(this.#random, [0, 1, 2]) as [number, number];
    const [key, otherKey] = [JOINT_KEYS[at] as string, JOINT_KEYS[other] as string];
    const value = this.#freshValue();
    const isErasing = randomChance(this.#random, 0.2);
    await this.#record(client, this.#world.pickNode(this.#random).name, {
      type: 'transaction',
      compare: [{ key, value: seen.responses?.[at]?.value ?? null }],
      success: [
        { type: 'put', key, value },
        isErasing ? { type: 'delete', key: otherKey } : { type: 'put', key: otherKey, value },
      ],
      failure: [{ type: 'get', key: otherKey }],
    });
  }

  #drawInput(key: string): RegisterInput {
    const type = randomPick(this.#random, [
      'get',
      'get',
      'get',
      'put',
      'put',
      'cas',
      'cas',
      'delete',
    ] as const);
    if (type === 'get' || type === 'delete') return { type, key };
    const value = this.#freshValue();
    if (type === 'put') return { type, key, value };
    return { type: 'cas', key, value, expected: this.#drawExpected() };
  }

  /** Mostly the latest value or one before it, so that some succeed and some do not. */
  #drawExpected(): string | null {
    if (randomChance(this.#random, 0.2)) return null;
    return `v${Math.max(1, this.#lastWrite - randomInt(this.#random, { from: 1, to: 5 }))}`;
  }

  #freshValue(): string {
    this.#lastWrite += 1;
    return `v${this.#lastWrite}`;
  }

  async #writeOnce(node: string): Promise<void> {
    const key = `${SURVEYED_PREFIX}${this.#freshValue()}`;
    try {
      await this.#world.node(node).call('kv.put', { key, value: node });
      this.#world.observe({ type: 'acknowledged', write: key });
    } catch (error) {
      this.#world.expectRefusal(error);
    }
  }

  /** @returns the answer, where there was one. */
  async #record(client: string, node: string, input: KvInput): Promise<KvOutput | undefined> {
    const calledMs = this.#world.nowMs;
    const unanswered: RecordedOperation = { client, input, calledMs };
    const consistency = randomChance(this.#random, LEASE_READS) ? 'lease' : 'linearizable';
    this.#history.add(unanswered);
    try {
      const output = await performKv(this.#world.node(node), input, consistency);
      this.#history.delete(unanswered);
      this.#history.add({ ...unanswered, result: { output, atMs: this.#world.nowMs } });
      this.#world.note(`${client} on ${node}: ${JSON.stringify(input)} -> ${JSON.stringify(output)}`);
      for (const change of changesOf(input, output))
        this.#world.laws.observe({ type: 'changed', by: client, ...change });
      return output;
    } catch (error) {
      this.#world.expectRefusal(error);
      this.#world.note(`${client} on ${node}: ${JSON.stringify(input)} -> ${String(error)}`);
      const isUnknown = error instanceof AspenError && error.outcome === 'unknown';
      if (!isUnknown || input.type === 'get') this.#history.delete(unanswered);
      return undefined;
    }
  }

  /** A scan reads all registers at one moment, so as a history each of them was read then. */
  async #scan(client: string, node: string): Promise<void> {
    const calledMs = this.#world.nowMs;
    try {
      const { entries } = await this.#world.node(node).call('kv.scan', { prefix: 'r/' });
      const atMs = this.#world.nowMs;
      for (const key of REGISTER_KEYS) {
        const found = entries.find((entry) => entry.key === key);
        const output =
          found === undefined ? { value: null } : { value: found.value, revision: found.revision };
        this.#history.add({ client, input: { type: 'get', key }, calledMs, result: { output, atMs } });
      }
    } catch (error) {
      this.#world.expectRefusal(error);
    }
  }

  /** Damage that lay hidden on a disk may show only now: the node ends and comes back. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        this.#world.expectRefusal(error);
        await this.#world.pause(LONGEST_PAUSE_MS);
      }
    }
  }

  async #surveyedKeys(name: string): Promise<Set<string>> {
    const keys = new Set<string>();
    for (let cursor: string | undefined; ; ) {
      const page = await this.#world.node(name).call('kv.scan', {
        prefix: SURVEYED_PREFIX,
        limit: SCAN_PAGE,
        ...(cursor !== undefined && { cursor }),
      });
      for (const { key } of page.entries) keys.add(key);
      cursor = page.cursor;
      if (cursor === undefined) return keys;
    }
  }
}
