export interface SourceBudgetOptions {
  /** Of one source at once. */
  readonly perSourceLimit: number;
  /** Of all sources at once. */
  readonly totalLimit: number;
}

/**
 * Shares a number of places among the addresses that strangers come from.
 *
 * - F1 One source can use up its own share only: while it floods, there is room for others. What it holds is what it took and has not given back.
 */
export class SourceBudget {
  readonly #options: SourceBudgetOptions;
  readonly #taken = new Map<string, number>();
  #total = 0;
  #refused = 0;

  constructor(options: SourceBudgetOptions) {
    this.#options = options;
  }

  get total(): number {
    return this.#total;
  }

  /** Since the start. */
  get refusedCount(): number {
    return this.#refused;
  }

  /** @returns what gives the place back, as often as it is called; undefined when there is none. */
  take(source: string): (() => void) | undefined {
    const taken = this.#taken.get(source) ?? 0;
    if (taken >= this.#options.perSourceLimit || this.#total >= this.#options.totalLimit) {
      this.#refused += 1;
      return undefined;
    }
    this.#taken.set(source, taken + 1);
    this.#total += 1;
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      this.#giveBack(source);
    };
  }

  #giveBack(source: string): void {
    const taken = this.#taken.get(source) ?? 0;
    if (taken <= 1) this.#taken.delete(source);
    else this.#taken.set(source, taken - 1);
    this.#total -= 1;
  }
}

const IP6_GROUPS = 8;
/** What one customer of a provider is given: whoever has one address of it has all of them. Unit: groups of 16 bits. */
const IP6_PREFIX_GROUPS = 4;

/** @returns what stands for everybody who can send from a multiaddr: an IPv4 address, the /64 of an IPv6 address, or `other`. */
export function sourceOf(address: string): string {
  const [, kind, host = ''] = address.split('/');
  if (kind === 'ip4') return host;
  if (kind !== 'ip6') return 'other';
  const mapped = /^(?:0*:)*:?ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  if (mapped !== undefined) return mapped;
  return `${expanded(host).slice(0, IP6_PREFIX_GROUPS).join(':')}::/64`;
}

function expanded(host: string): string[] {
  const [left = '', right] = host.toLowerCase().split('%')[0]?.split('::') ?? [];
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const missing = right === undefined ? 0 : Math.max(0, IP6_GROUPS - head.length - tail.length);
  return [...head, ...Array<string>(missing).fill('0'), ...tail].map((group) =>
    group.replace(/^0+(?=.)/, ''),
  );
}
