/** A place that a proxy is asked to let through to. */
export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

/** The proxy that this node uses. */
export interface ProxyProbe {
  /** For people: without its password. Null where what was said of it is not understood. */
  readonly url: string | null;
  /** Who said so, e.g. `HTTPS_PROXY`. */
  readonly from: string;
  /** What was said and is not understood. */
  readonly problem?: string;
  /** @returns whether places like this are reached through it; others are reached directly. */
  isFor(target: ProxyTarget): boolean;
  /** @throws AspenError UNAVAILABLE when it does not let through: it names the proxy and what it answered. */
  check(target: ProxyTarget): Promise<void>;
}
