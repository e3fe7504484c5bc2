import assert from 'node:assert/strict';
import type { PeerId } from '../../../src/base/index.ts';
import { MemoryGossip } from '../../../src/mesh/memory-gossip.ts';

const NODES = 60;
const FANOUT = 8;
const names = Array.from(
  { length: NODES },
  (_, at) => `12D3KooWtheNodeNamed${String(at).padStart(8, '0')}` as PeerId,
);

describe('gossip in memory', () => {
  it('reaches nearly all of many nodes, each of which passes on to few: not all to the same ones', () => {
    let lastId = 0;
    const heard = new Map<PeerId, number>();
    const nodes = new Map<PeerId, MemoryGossip>();
    for (const self of names) {
      const gossip = new MemoryGossip({
        self,
        neighbours: () => names.filter((peerId) => peerId !== self),
        forward: (to, message) => nodes.get(to)?.receive(self, message),
        nextId: () => {
          lastId += 1;
          return lastId;
        },
        fanout: FANOUT,
      });
      gossip.subscribe('news', () => {
        heard.set(self, (heard.get(self) ?? 0) + 1);
        return true;
      });
      nodes.set(self, gossip);
    }
    const count = 50;
    for (let at = 0; at < count; at += 1) nodes.get(names[at] as PeerId)?.publish('news', Uint8Array.of(at));
    const deliveries = [...heard.values()].reduce((sum, each) => sum + each, 0);
    assert.ok(deliveries >= 0.99 * count * (NODES - 1), `${deliveries} of ${count * (NODES - 1)}`);
    assert.ok(Math.max(...heard.values()) <= count);
  });
});
