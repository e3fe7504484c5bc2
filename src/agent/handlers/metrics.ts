import { formatMetrics, type MetricFamily } from '../../base/index.ts';
import type { CallCounts, Handlers } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { checkNet } from '../net/net-check.ts';
import { nodeMetrics } from '../node-metrics.ts';
import { processFamilies } from '../process-facts.ts';

type MetricsHandlers = Pick<Handlers, 'metrics.get' | 'net.check'>;

/** What this node sees of itself and its network, for people and for Prometheus. */
export function metricsHandlers(daemon: Daemon, counts?: CallCounts): MetricsHandlers {
  return {
    'metrics.get': async ({ format, prefix = '' }) => {
      const families = (await collectMetrics(daemon, counts)).filter(({ name }) => name.startsWith(prefix));
      if (format === 'text') return { text: formatMetrics(families) };
      return { families };
    },
    'net.check': async () => checkNet(daemon.node),
  };
}

/** Read when it is asked for; nothing is computed in between. */
export async function collectMetrics(daemon: Daemon, counts?: CallCounts): Promise<MetricFamily[]> {
  const facts = daemon.platform.process?.();
  return [
    ...(await nodeMetrics(daemon.node, daemon.uptimeMs)),
    ...(counts?.families() ?? []),
    ...(facts === undefined ? [] : processFamilies(facts)),
  ];
}
