import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { addressPolicy, isPublicAddress } from '../../../src/workers/index.ts';

const PUBLIC = [
  '1.1.1.1',
  '93.184.216.34',
  '172.15.0.1',
  '172.32.0.1',
  '2606:4700::1111',
  '2a00:1450:4001::1',
];

const REFUSED: readonly (readonly [address: string, why: string])[] = [
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback, all of it'],
  ['0.0.0.0', 'this host'],
  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.1', 'private'],
  ['169.254.169.254', 'metadata of clouds'],
  ['100.64.0.1', 'shared by carriers'],
  ['198.18.0.1', 'benchmarks'],
  ['224.0.0.1', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['::', 'no address'],
  ['::1', 'loopback'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local with a zone'],
  ['fc00::1', 'unique local'],
  ['fdff::1', 'unique local'],
  ['ff02::1', 'multicast'],
  ['fec0::1', 'site-local'],
  ['::ffff:127.0.0.1', 'mapped loopback'],
  ['::ffff:7f00:1', 'mapped loopback, in hexadecimal'],
  ['::ffff:10.0.0.1', 'mapped private'],
  ['::127.0.0.1', 'compatible loopback'],
  ['64:ff9b::a9fe:a9fe', 'link-local behind NAT64'],
  ['2002:7f00:1::', 'loopback behind 6to4'],
  ['2002:a9fe:a9fe::', 'link-local behind 6to4'],
  ['2001::1', 'Teredo'],
  ['2001:db8::1', 'documentation'],
  ['example.org', 'a name'],
  ['', 'nothing'],
];

describe('addresses that jobs may reach', () => {
  for (const address of PUBLIC) it(`are public ones: ${address}`, () => assert.ok(isPublicAddress(address)));
  for (const [address, why] of REFUSED)
    it(`are not "${address}" (${why})`, () => assert.equal(isPublicAddress(address), false));

  it('are those beside that lie in networks of the owner', () => {
    const policy = addressPolicy(['10.1.0.0/16', '127.0.0.1', 'fd00:1::/32']);
    for (const address of ['10.1.2.3', '127.0.0.1', 'fd00:1::9', '::ffff:10.1.2.3', '1.1.1.1'])
      assert.ok(policy.isAllowed(address), address);
    for (const address of ['10.2.0.1', '127.0.0.2', 'fd00:2::9', '::ffff:10.2.0.1', 'fe80::1'])
      assert.equal(policy.isAllowed(address), false, address);
  });

  it('are all of them where the owner says private', () => {
    const policy = addressPolicy(['private']);
    assert.ok(policy.isAllowed('169.254.169.254'));
    assert.equal(policy.isAllowed('example.org'), false);
  });

  it('are not told by what is no network', () => {
    for (const text of [
      '10.0.0.0/33',
      'fd00::/129',
      '10.0.0/8',
      'localhost',
      '10.0.0.0/',
      '10.0.0.0/8/9',
      '',
    ])
      assert.throws(
        () => addressPolicy([text]),
        (error) => error instanceof AspenError && error.code === 'INVALID_PARAMS',
        text,
      );
  });
});
