import type { Daemon } from '../daemon.ts';
import type { Check } from '../doctor.ts';
import { checkProxy, judgeProxy } from '../net/proxy-check.ts';
import { judgePorts } from './check-rules.ts';
import { groupCheck } from './group-check.ts';
import { meshChecks } from './mesh-checks.ts';

/** Every look that `doctor` takes, in the order in which it tells them. */
export function agentChecks({ node, platform, config }: Daemon): readonly Check[] {
  const ports: Check = {
    name: 'network.ports',
    run: async () => [judgePorts(config.config.listen, node.mesh.transport.addresses())],
  };
  const proxy: Check = { name: 'network.proxy', run: async () => judgeProxy(await checkProxy(node)) };
  return [groupCheck(node), ...meshChecks(node), ports, proxy, ...(platform.checks?.() ?? [])];
}
