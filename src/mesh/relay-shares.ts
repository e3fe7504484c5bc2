export interface RelaySharesOptions {
  /** What a relay carries for all peers together. Unit: bytes a second. @default 32 MiB */
  readonly bytesPerSecond?: number;
  /** What a peer that was quiet may send at once. @default 1 MiB */
  readonly burstBytes?: number;
}

interface Account {
  /** Below zero: what is to be waited for. */
  credit: number;
  atMs: number;
}

/** A peer that sent nothing for so long has no part in the division. Unit: ms. */
const ACTIVE_MS = 1_000;

/**
 * How a relay divides what it carries.
 *
 * - Y4 Each of n peers that have something to send gets at least the n-th part, whatever the others do.
 * - Y5 In any second all of them together send no more than the rate, the burst of each peer, and one message of each on top.
 */
export class RelayShares {
  readonly #bytesPerSecond: number;
  readonly #burstBytes: number;
  readonly #accounts = new Map<string, Account>();

  constructor({ bytesPerSecond = 32 * 2 ** 20, burstBytes = 2 ** 20 }: RelaySharesOptions = {}) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#burstBytes = burstBytes;
  }

  /** @returns how long nothing more is to be read from this peer; 0 to go on. Unit: ms. */
  spend(peerId: string, bytes: number, nowMs: number): number {
    const account = this.#accountOf(peerId, nowMs);
    const rate = this.#bytesPerSecond / this.#activeCount(nowMs, account);
    const earned = ((nowMs - account.atMs) * rate) / 1_000;
    account.credit = Math.min(this.#burstBytes, account.credit + earned) - bytes;
    account.atMs = nowMs;
    return account.credit >= 0 ? 0 : Math.ceil((-account.credit * 1_000) / rate);
  }

  get accountCount(): number {
    return this.#accounts.size;
  }

  #accountOf(peerId: string, nowMs: number): Account {
    const known = this.#accounts.get(peerId);
    if (known !== undefined) return known;
    this.#forgetQuiet(nowMs);
    const account = { credit: this.#burstBytes, atMs: nowMs };
    this.#accounts.set(peerId, account);
    return account;
  }

  /** A debt is kept until it is paid, so that closing a circuit and opening another wins nothing. */
  #forgetQuiet(nowMs: number): void {
    for (const [peerId, { credit, atMs }] of this.#accounts) {
      const paidAfterMs = ((this.#burstBytes - credit) * 1_000 * this.#accounts.size) / this.#bytesPerSecond;
      if (nowMs - atMs > Math.max(ACTIVE_MS, paidAfterMs)) this.#accounts.delete(peerId);
    }
  }

  /** @returns at least 1: the one that is asked about is active. */
  #activeCount(nowMs: number, asking: Account): number {
    let count = 0;
    for (const account of this.#accounts.values())
      if (account === asking || account.credit < 0 || nowMs - account.atMs <= ACTIVE_MS) count += 1;
    return count;
  }
}
