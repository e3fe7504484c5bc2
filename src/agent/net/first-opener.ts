import { AspenError } from '../../base/index.ts';
import type { GatewayKind, Opened, PortOpener } from './gateway-client.ts';
import type { PortWish } from './gateway-messages.ts';

/** Asks in one language after the other, until the router understands one. */
export class FirstOpener implements PortOpener {
  readonly #openers: readonly PortOpener[];
  /** Which one opened what is open. */
  #latest: PortOpener | undefined;

  constructor(openers: readonly PortOpener[]) {
    this.#openers = openers;
  }

  /** Throws what the first of them said. */
  async open(gateway: string, wish: PortWish, signal: AbortSignal): Promise<Opened> {
    let failure: unknown;
    const others = this.#openers.filter((opener) => opener !== this.#latest);
    for (const opener of this.#latest === undefined ? others : [this.#latest, ...others]) {
      try {
        const opened = await opener.open(gateway, wish, signal);
        this.#latest = opener;
        return opened;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AspenError)) throw error;
        failure ??= error;
      }
    }
    throw failure;
  }

  async close(gateway: string, kind: GatewayKind, wish: PortWish, signal: AbortSignal): Promise<void> {
    await this.#latest?.close(gateway, kind, wish, signal);
  }
}
