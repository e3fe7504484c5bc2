import assert from 'node:assert/strict';
import type { noise } from '@chainsafe/libp2p-noise';
import { gathering, widenWindow } from '../../../src/mesh/libp2p-wire.ts';

/** Pieces as libp2p holds them. */
class Pieces {
  readonly #pieces: readonly Uint8Array[];

  constructor(...lengths: readonly number[]) {
    this.#pieces = lengths.map((length, at) => new Uint8Array(length).fill(at + 1));
  }

  get byteLength(): number {
    return this.#pieces.reduce((sum, { length }) => sum + length, 0);
  }

  subarray(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#pieces));
  }

  [Symbol.iterator](): Iterator<Uint8Array> {
    return this.#pieces[Symbol.iterator]();
  }
}

/** A socket that takes everything, and counts how often the system is called. */
class CountingSocket {
  readonly written: Uint8Array[] = [];
  callCount = 0;
  writableLength = 0;
  #isCorked = false;

  write(piece: Uint8Array): boolean {
    this.written.push(piece);
    if (!this.#isCorked) this.callCount += 1;
    return true;
  }

  cork(): void {
    this.#isCorked = true;
  }

  uncork(): void {
    this.#isCorked = false;
    this.callCount += 1;
  }
}

interface Sending {
  readonly socket: CountingSocket;
  sendData(data: Pieces): { readonly sentBytes: number; readonly canSendMore: boolean };
}

async function secured(): Promise<Sending> {
  const connection = { socket: new CountingSocket(), sendData: () => assert.fail('one piece at a time') };
  const given: unknown[] = [];
  const encrypter = {
    secureInbound: async () => assert.fail('it dials'),
    secureOutbound: async (one: unknown) => given.push(one),
  };
  const make = gathering((() => encrypter) as unknown as ReturnType<typeof noise>, () => undefined);
  await make({} as never).secureOutbound(connection as never, {} as never);
  assert.deepEqual(given, [connection]);
  return connection as unknown as Sending;
}

describe('what belongs together', () => {
  it('leaves in one call of the system, short or long, in order', async () => {
    for (const lengths of [
      [2, 12, 16],
      [2, 65_000, 16],
    ]) {
      const { socket, ...connection } = await secured();
      const data = new Pieces(...lengths);
      const sent = connection.sendData(data);
      assert.deepEqual(sent, { sentBytes: data.byteLength, canSendMore: true });
      assert.equal(socket.callCount, 1);
      assert.ok(Buffer.concat(socket.written).equals(data.subarray()));
    }
  });

  it('waits when the socket holds much already', async () => {
    const connection = await secured();
    connection.socket.writableLength = 2 ** 20;
    assert.equal(connection.sendData(new Pieces(10)).canSendMore, false);
  });

  it('has a window of at least 1 MiB, whatever the library gave it', () => {
    for (const [given, wide] of [
      [2 ** 18, 2 ** 20],
      [2 ** 24, 2 ** 24],
    ] as const) {
      const stream = { recvWindow: given };
      widenWindow(stream as never);
      assert.equal(stream.recvWindow, wide);
    }
    const other = {};
    widenWindow(other as never);
    assert.deepEqual(other, {});
  });
});
