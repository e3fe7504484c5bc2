import { Resolver } from 'node:dns/promises';
import { AspenError } from '../base/index.ts';
import type { NameLookup } from './dnsaddr.ts';

/** Of one try; there are two. Unit: ms. */
const TRY_MS = 3_000;
const NO_RECORDS: ReadonlySet<unknown> = new Set(['ENODATA', 'ENOTFOUND']);

/** Asks name servers: those of this machine, or others. */
export class OsNameLookup implements NameLookup {
  readonly #servers: readonly string[] | undefined;

  /** @param servers `host:port`. @default those of this machine */
  constructor({ servers }: { readonly servers?: readonly string[] } = {}) {
    this.#servers = servers;
  }

  /** @throws AspenError UNAVAILABLE when no server answers. */
  async txt(name: string, signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    const resolver = new Resolver({ timeout: TRY_MS, tries: 2 });
    if (this.#servers !== undefined) resolver.setServers(this.#servers);
    const onAbort = () => resolver.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return (await resolver.resolveTxt(name)).map((chunks) => chunks.join(''));
    } catch (cause) {
      signal.throwIfAborted();
      const code = (cause as NodeJS.ErrnoException).code;
      if (NO_RECORDS.has(code)) return [];
      throw new AspenError('UNAVAILABLE', `no name server told about ${name}: ${code ?? String(cause)}`, {
        cause,
        outcome: 'not-applied',
      });
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}
