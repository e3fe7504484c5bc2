import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SeededRandom } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import {
  openDataKey,
  openSecret,
  sealSecret,
  secretsInShellPayload,
  wrapKey,
} from '../../../src/secrets/index.ts';

const crypto = new OsCrypto();
const random = new SeededRandom(7);
const parts = { crypto, random };

function nodeOf(peerId: string) {
  const privateKey = random.bytes(32);
  return { peerId, privateKey, sealingKey: crypto.sealingPublicKey(privateKey) };
}

const [one, two, three] = [nodeOf('one'), nodeOf('two'), nodeOf('three')];
const value = Buffer.from('the value');

function sealedFor(
  node: typeof one,
  sealed = sealSecret(parts, { name: 'db', value, recipients: [one, two] }),
) {
  const grant = sealed.grants.find(({ peerId }) => peerId === node.peerId) ?? sealed.grants[0];
  assert.ok(grant);
  return { ...sealed, peerId: node.peerId, wrap: grant.wrap };
}

function opened(node: typeof one, sealed: Parameters<typeof openSecret>[2]) {
  const plain = openSecret(crypto, node.privateKey, sealed);
  return plain && Buffer.from(plain).toString();
}

describe('a sealed secret', () => {
  it('opens for each node that it is sealed to, and for no other', () => {
    const sealed = sealSecret(parts, { name: 'db', value, recipients: [one, two] });
    assert.equal(opened(one, sealedFor(one, sealed)), 'the value');
    assert.equal(opened(two, sealedFor(two, sealed)), 'the value');
    assert.equal(opened(three, sealedFor(three, sealed)), undefined);
    assert.equal(opened(three, { ...sealedFor(one, sealed) }), undefined);
  });

  it('shows nothing of its value', () => {
    const sealed = sealSecret(parts, { name: 'db', value, recipients: [one] });
    const all = Buffer.concat([sealed.box, ...sealed.grants.map(({ wrap }) => wrap)]);
    assert.ok(!all.includes(value));
  });

  it('opens under no other name, version or node', () => {
    const sealed = sealedFor(one);
    assert.equal(opened(one, { ...sealed, name: 'other' }), undefined);
    assert.equal(opened(one, { ...sealed, id: '0'.repeat(32) }), undefined);
    assert.equal(opened(one, { ...sealed, peerId: 'two' }), undefined);
    const other = sealedFor(one);
    assert.equal(opened(one, { ...sealed, box: other.box }), undefined);
    assert.equal(opened(one, { ...sealed, wrap: other.wrap }), undefined);
  });

  it('does not open when any byte of it was changed', () => {
    const sealed = sealedFor(one);
    fc.assert(
      fc.property(fc.boolean(), fc.nat(), fc.integer({ min: 1, max: 255 }), (isBox, place, mask) => {
        const bytes = (isBox ? sealed.box : sealed.wrap).slice();
        const at = place % bytes.length;
        bytes[at] = (bytes[at] as number) ^ mask;
        assert.equal(opened(one, { ...sealed, [isBox ? 'box' : 'wrap']: bytes }), undefined);
      }),
      { numRuns: 100 },
    );
  });

  it('is given to one more node by who can open it', () => {
    const sealed = sealedFor(one);
    const dataKey = openDataKey(crypto, one.privateKey, sealed);
    assert.ok(dataKey);
    const { wrap } = wrapKey(parts, { ...sealed, dataKey }, three);
    assert.equal(opened(three, { ...sealed, peerId: 'three', wrap }), 'the value');
  });

  it('holds any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const sealed = sealSecret(parts, { name: 'x', value: bytes, recipients: [one] });
        assert.deepEqual([...(openSecret(crypto, one.privateKey, sealedFor(one, sealed)) ?? [])], [...bytes]);
      }),
      { numRuns: 30 },
    );
  });
});

describe('references to secrets', () => {
  it('are found in the variables and files of a shell job', () => {
    const payload = {
      env: { A: 'secret://b/x', B: 'plain', C: 'secret://a' },
      secretFiles: { key: 'secret://a' },
    };
    assert.deepEqual(secretsInShellPayload(payload), ['a', 'b/x']);
  });

  it('are found nowhere else', () => {
    for (const payload of [null, 'secret://a', {}, { args: ['secret://a'] }, { env: { A: 'x secret://a' } }])
      assert.deepEqual(secretsInShellPayload(payload), []);
  });
});
