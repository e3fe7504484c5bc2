import assert from 'node:assert/strict';
import { scenario } from '../world/scenario.ts';

describe('a simulated agent', () => {
  scenario('says of itself that it is drained, until it is not', async (world) => {
    const { home } = world;
    const told = async () => {
      const { isDraining } = await world.call(home, 'agent.status', {});
      const { findings } = await world.call(home, 'agent.doctor', {});
      return [isDraining, findings.find(({ name }) => name === 'node.drain')?.status];
    };
    assert.deepEqual(await told(), [false, 'ok']);
    await world.call(home, 'node.drain', {});
    assert.deepEqual(await told(), [true, 'warn']);
    await world.call(home, 'node.undrain', {});
    assert.deepEqual(await told(), [false, 'ok']);
  });

  scenario('that stops says so to whoever asks it meanwhile', async (world) => {
    const node = world.node('n2');
    const { daemon } = node;
    const stopped = node.stop();
    await world.advance(1);
    assert.throws(() => daemon.node, {
      code: 'UNAVAILABLE',
      message: 'this agent is stopping: ask another one of the mesh, or this one once it was started again',
    });
    await world.settled(stopped);
  });
});
