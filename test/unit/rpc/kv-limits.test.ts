import assert from 'node:assert/strict';
import * as machine from '../../../src/lease/machine/index.ts';
import { checkParams } from '../../../src/rpc/index.ts';
import { KV_TXN_OPERATIONS_LIMIT } from '../../../src/rpc/methods/kv.ts';

describe('the limits of kv', () => {
  it('are those of the machine at the socket, too', () => {
    assert.equal(KV_TXN_OPERATIONS_LIMIT, machine.KV_TXN_OPERATIONS_LIMIT);
    const put = (key: string, value: string) => checkParams('kv.put', { key, value });
    const [key, value] = ['k'.repeat(machine.KV_KEY_BYTES_LIMIT), 'v'.repeat(machine.KV_VALUE_BYTES_LIMIT)];
    put(key, value);
    assert.throws(() => put(`${key}k`, ''), /1024 bytes \(KV_KEY_BYTES_LIMIT\)/);
    assert.throws(() => put('k', `${value}v`), /1048576 bytes \(KV_VALUE_BYTES_LIMIT\)/);
    checkParams('kv.scan', { prefix: '', limit: machine.KV_SCAN_LIMIT });
    assert.throws(() => checkParams('kv.scan', { prefix: '', limit: machine.KV_SCAN_LIMIT + 1 }), /limit/);
  });

  it('refuse half a surrogate pair, which no UTF-8 can hold', () => {
    assert.throws(() => checkParams('kv.put', { key: '\ud800', value: '' }), /key.*Unicode/);
    assert.throws(
      () => checkParams('kv.cas', { key: 'k', expected: null, value: '\udc00' }),
      /value.*Unicode/,
    );
  });
});
