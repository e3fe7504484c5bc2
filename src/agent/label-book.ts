import { z } from 'zod';
import { AspenError, decode, encode, Listeners } from '../base/index.ts';
import { type Role, roleAllows } from '../mesh/index.ts';
import type { DataDirectory } from '../storage/index.ts';
import { LABEL_KEY, LABEL_KEY_RULE } from './label-key.ts';

const FILE = 'labels';
const LABELS_LIMIT = 64;

const labelsSchema = z.record(z.string().min(1).max(63), z.string().max(256));
const changeSchema = z.object({
  labels: labelsSchema.default({}),
  remove: z.array(z.string()).max(LABELS_LIMIT).default([]),
});

export type Labels = Readonly<Record<string, string>>;

/** Labels that a node publishes by itself; nobody sets them. */
export const RESERVED_PREFIX = 'aspen/';
/** Those that stand under their own name as well, where the owner says nothing else. */
const PLAIN_FACTS = ['cpus', 'memoryGiB'] as const;
/** How the workers of a node do stands under its own name too, whatever the owner says. */
const WORKER_PREFIX = 'worker.';

/**
 * What jobs may ask a node for: what its machine is under the reserved prefix, which nobody can claim otherwise; `cpus` and `memoryGiB`
 * plainly, below what the owner set.
 */
export function placementLabels(owned: Labels, machine: Labels): Labels {
  const plain = PLAIN_FACTS.flatMap((name) => (machine[name] === undefined ? [] : [[name, machine[name]]]));
  const workers = Object.entries(machine).filter(([name]) => name.startsWith(WORKER_PREFIX));
  const reserved = Object.entries(machine).map(([name, value]) => [`${RESERVED_PREFIX}${name}`, value]);
  const free = Object.entries(owned).filter(([name]) => !name.startsWith(RESERVED_PREFIX));
  return Object.fromEntries([...plain, ...free, ...workers, ...reserved]);
}

/** @throws AspenError INVALID_PARAMS naming a label that only the node itself may tell. */
export function refuseReserved(labels: Labels): void {
  const reserved = Object.keys(labels).find((key) => key.startsWith(RESERVED_PREFIX));
  if (reserved === undefined) return;
  const message = `${reserved}: labels that begin with ${RESERVED_PREFIX} are told by the node itself`;
  throw new AspenError('INVALID_PARAMS', message, { details: { path: `labels.${reserved}` } });
}

/** What the configuration refuses is refused here too: no demand could name it. @throws AspenError INVALID_PARAMS naming it. */
function refuseOddKeys(labels: Labels): void {
  const odd = Object.keys(labels).find((key) => !LABEL_KEY.test(key));
  if (odd === undefined) return;
  const issue = { path: 'labels', message: `"${odd}": ${LABEL_KEY_RULE}` };
  throw new AspenError('INVALID_PARAMS', `labels: ${issue.message}`, { details: { issues: [issue] } });
}

/** A node's labels: those of its configuration, then what was set and removed at run time, which outlives the process. */
export class LabelBook {
  readonly #directory: DataDirectory;
  readonly #configured: Labels;
  readonly #changes = new Listeners<Labels>();
  /** null removes a configured label. */
  #overrides: Readonly<Record<string, string | null>> = {};

  constructor(directory: DataDirectory, configured: Labels) {
    this.#directory = directory;
    this.#configured = configured;
  }

  all(): Labels {
    const merged = { ...this.#configured, ...this.#overrides };
    return Object.fromEntries(
      Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== null),
    );
  }

  onChange(callback: (labels: Labels) => void): Disposable {
    return this.#changes.add(callback);
  }

  async load(): Promise<void> {
    const file = await this.#directory.readFile(FILE);
    if (file !== undefined) this.#overrides = z.record(z.string(), z.string().nullable()).parse(decode(file));
  }

  /** Durable when it resolves. @throws AspenError RESOURCE_EXHAUSTED beyond the limit. */
  async change({
    labels,
    remove,
  }: {
    readonly labels: Labels;
    readonly remove: readonly string[];
  }): Promise<Labels> {
    refuseReserved(labels);
    refuseOddKeys(labels);
    const overrides: Record<string, string | null> = { ...this.#overrides, ...labels };
    for (const key of remove) {
      if (Object.hasOwn(this.#configured, key)) overrides[key] = null;
      else delete overrides[key];
    }
    if (Object.keys({ ...this.#configured, ...overrides }).length > LABELS_LIMIT) {
      throw new AspenError('RESOURCE_EXHAUSTED', `a node has at most ${LABELS_LIMIT} labels`, {
        details: { limit: 'labels' },
      });
    }
    await this.#directory.writeFileAtomic(FILE, encode(overrides));
    this.#overrides = overrides;
    const all = this.all();
    this.#changes.emit(all);
    return all;
  }

  /** Another member asks. Labels steer placement only, so members that may vote may set them; nothing here makes a node run what its owner refuses. */
  async onRequest(role: Role | undefined, body: unknown): Promise<Labels> {
    if (role === undefined || !roleAllows(role, 'voter')) {
      throw new AspenError('DENIED', 'only members with role voter may label another node');
    }
    const change = changeSchema.safeParse(body);
    if (!change.success) throw new AspenError('INVALID_PARAMS', 'labels: not a map of texts');
    return this.change(change.data);
  }
}
