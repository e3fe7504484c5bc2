import { AspenError, type Clock, withDeadline } from '../../base/index.ts';
import { type ProxySettings, proxyFor, proxyText } from '../../mesh/index.ts';
import { openThrough } from '../../mesh/libp2p-proxy-connect.ts';
import type { ProxyProbe } from './proxy-probe.ts';

/** A proxy that has not answered by then does not. Unit: ms. */
const CHECK_MS = 5_000;

/** @returns undefined where nobody said anything of a proxy. */
export function createProxyProbe(settings: ProxySettings, clock: Clock): ProxyProbe | undefined {
  const { proxy, from, problem } = settings;
  if (from === undefined) return undefined;
  return {
    from,
    url: proxy === undefined ? null : proxyText(proxy),
    ...(problem !== undefined && { problem }),
    isFor: (target) => proxyFor(settings, target) !== undefined,
    check: async (target) => {
      const over = proxyFor(settings, target);
      if (over === undefined) throw new AspenError('UNAVAILABLE', `${target.host} is reached directly`);
      const what = `asking the proxy ${proxyText(over)} to let through`;
      await withDeadline({ clock, timeoutMs: CHECK_MS, what }, async (signal) => {
        (await openThrough(over, target, signal)).destroy();
      });
    },
  };
}
