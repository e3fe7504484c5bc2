import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { Namespaces } from './harness/namespaces.ts';

const isThere = (namespace: string) => existsSync(`/run/netns/${namespace}`);

describe('the network namespaces of a test', () => {
  it('are joined, run programs, and are gone afterwards, however often that is said', () => {
    const namespaces = new Namespaces();
    const [left, right] = ['left', 'right'].map((name) => namespaces.add(name)) as [string, string];
    namespaces.join({ netns: left, device: 'eth0' }, { netns: right, device: 'eth1' });
    namespaces.exec(right, 'ip', 'link', 'show', 'eth1');
    assert.throws(() => namespaces.exec(left, 'ip', 'link', 'show', 'eth1'));
    assert.ok(isThere(left) && isThere(right));
    namespaces[Symbol.dispose]();
    namespaces[Symbol.dispose]();
    assert.ok(!isThere(left) && !isThere(right));
  });

  it('are gone when they could not all be built, and it is said what is needed', () => {
    const namespaces = new Namespaces();
    let first = '';
    const build = () =>
      namespaces.build(() => {
        first = namespaces.add('first');
        namespaces.ip(first, 'link', 'set', 'nowhere', 'up');
      });
    assert.throws(build, /need network namespaces: run them as root/);
    assert.ok(first !== '' && !isThere(first));
  });

  it('have names of their own', () => {
    using one = new Namespaces();
    using other = new Namespaces();
    assert.notEqual(one.add('hub'), other.add('hub'));
  });
});
