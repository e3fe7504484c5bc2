/** What the leases module should do, in plain arrays, slowly and obviously. Written from the laws, not from the module. */
export interface NaiveClaim {
  readonly leaseId: string;
  readonly resource: string;
  readonly kind: string;
  readonly units: number;
  readonly ttlMs: number;
  token: number | null;
  deadlineMs: number;
}

export interface NaiveWish {
  readonly leaseId: string;
  readonly kind: string;
  readonly name: string;
  readonly capacity: number;
  readonly units: number;
  readonly ttlMs: number;
  readonly waits: boolean;
}

export const NAIVE_TAKE_UP_MS = 10_000;

export class NaiveClaims {
  /** In the order in which they asked. */
  readonly claims: NaiveClaim[] = [];
  readonly #capacities = new Map<string, number>();

  claim(wish: NaiveWish, at: { position: number; groupMs: number }): 'held' | 'waiting' | 'CONFLICT' {
    const resource = `${wish.kind}/${wish.name}`;
    if (this.claims.some(({ leaseId }) => leaseId === wish.leaseId)) return 'CONFLICT';
    if (this.of(resource).length > 0 && this.#capacities.get(resource) !== wish.capacity) return 'CONFLICT';
    this.#capacities.set(resource, wish.capacity);
    const { leaseId, kind, units, ttlMs } = wish;
    const claim: NaiveClaim = { leaseId, resource, kind, units, ttlMs, token: null, deadlineMs: Infinity };
    this.claims.push(claim);
    this.#admit(resource, at);
    if (claim.token !== null) {
      claim.deadlineMs = at.groupMs + ttlMs;
      return 'held';
    }
    if (wish.waits) return 'waiting';
    this.claims.pop();
    return 'CONFLICT';
  }

  renew(leaseId: string, groupMs: number): boolean {
    const claim = this.held(leaseId);
    if (claim !== undefined) claim.deadlineMs = groupMs + claim.ttlMs;
    return claim !== undefined;
  }

  end(leaseId: string, at: { position: number; groupMs: number }): boolean {
    const index = this.claims.findIndex((claim) => claim.leaseId === leaseId);
    if (index < 0) return false;
    const [claim] = this.claims.splice(index, 1);
    this.#admit((claim as NaiveClaim).resource, at);
    return true;
  }

  expire(at: { position: number; groupMs: number }): void {
    const due = this.claims
      .filter(({ token, deadlineMs }) => token !== null && deadlineMs <= at.groupMs)
      .sort((a, b) => a.deadlineMs - b.deadlineMs || (a.leaseId < b.leaseId ? -1 : 1));
    for (const { leaseId } of due) this.end(leaseId, at);
  }

  held(leaseId: string): NaiveClaim | undefined {
    return this.claims.find((claim) => claim.leaseId === leaseId && claim.token !== null);
  }

  of(resource: string): NaiveClaim[] {
    return this.claims.filter((claim) => claim.resource === resource);
  }

  #admit(resource: string, { position, groupMs }: { position: number; groupMs: number }): void {
    const capacity = this.#capacities.get(resource) ?? 0;
    for (;;) {
      const holding = this.of(resource).filter(({ token }) => token !== null);
      const waiting = this.of(resource).filter(({ token }) => token === null);
      const [first] = waiting;
      if (first === undefined) return;
      const used = holding.reduce((sum, { units }) => sum + units, 0);
      const opens = holding.length === 0 && waiting.length >= capacity;
      const admitted =
        first.kind === 'barrier'
          ? opens
            ? waiting.slice(0, capacity)
            : []
          : used + first.units <= capacity
            ? [first]
            : [];
      for (const claim of admitted) {
        claim.token = position;
        claim.deadlineMs = groupMs + NAIVE_TAKE_UP_MS;
      }
      if (admitted.length === 0) return;
    }
  }
}
