import assert from 'node:assert/strict';
import type { InterfaceAddress } from '../../../src/agent/net/network-facts.ts';
import { networkMarkOf } from '../../../src/agent/net/network-mark.ts';

const wifi: InterfaceAddress = { interface: 'wlan0', family: 4, host: '192.168.1.7' };
const cable: InterfaceAddress = { interface: 'eth0', family: 4, host: '10.0.0.7' };
const HEAD = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n';
const over = (gateway: string) => `${HEAD}wlan0\t00000000\t${gateway}\t0003\t0\t0\t600\t00000000\t0\t0\t0\n`;

describe('the mark of a network', () => {
  const mark = networkMarkOf([wifi, cable], over('0101A8C0'));

  it('is the same whatever the order, and whatever other routes come and go', () => {
    const other = `${over('0101A8C0')}docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n`;
    assert.equal(networkMarkOf([cable, wifi], other), mark);
  });

  it('is another one with another address, one less, or another way out', () => {
    const others = [
      networkMarkOf([{ ...wifi, host: '192.168.1.8' }, cable], over('0101A8C0')),
      networkMarkOf([cable], over('0101A8C0')),
      networkMarkOf([wifi, cable], over('FE01A8C0')),
      networkMarkOf([wifi, cable], HEAD),
      networkMarkOf([wifi, cable], undefined),
    ];
    for (const other of others) assert.notEqual(other, mark);
  });
});
