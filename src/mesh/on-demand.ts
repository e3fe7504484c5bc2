import { type Clock, type PeerId, withDeadline } from '../base/index.ts';
import type { Connector } from './connector.ts';
import type { Messenger, RequestOptions } from './messenger.ts';
import type { Transport } from './transport.ts';

export interface OnDemandComponents {
  readonly transport: Pick<Transport, 'isLinked'>;
  readonly messenger: Pick<Messenger, 'self' | 'request'>;
  readonly connector: Pick<Connector, 'connect'>;
  readonly clock: Clock;
  /** Nobody waits for a link with somebody who gives no sign of life. @default everybody may live */
  readonly mayLive?: (peerId: PeerId) => boolean;
}

/** Whoever can be asked, linked or not. */
export type Requester = Pick<Messenger, 'self' | 'request'>;

/** Most of a request's time that making the link may take. Unit: ms. */
const LINKING_MS = 5_000;

/**
 * Requests to any member: where no link exists one is made first, directly or over a relay, and kept while it is used. In a large mesh most pairs
 * have none.
 */
export class OnDemand implements Requester {
  readonly self: PeerId;
  readonly #components: OnDemandComponents;

  constructor(components: OnDemandComponents) {
    this.self = components.messenger.self;
    this.#components = components;
  }

  /** Rejects as `Messenger.request` does, and with what linking ends with: then nothing was sent. */
  async request(to: PeerId, method: string, body: unknown, options: RequestOptions): Promise<unknown> {
    const { transport, messenger, connector, clock, mayLive = () => true } = this.#components;
    if (to !== this.self && (transport.isLinked(to) || mayLive(to))) {
      const { signal } = options;
      const timeoutMs = Math.min(LINKING_MS, options.timeoutMs);
      await withDeadline(
        { clock, timeoutMs, what: `linking ${to}`, ...(signal !== undefined && { signal }) },
        (over) => connector.connect(to, over),
      );
    }
    return messenger.request(to, method, body, options);
  }
}
