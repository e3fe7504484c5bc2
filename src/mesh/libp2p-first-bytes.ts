import type { MultiaddrConnection } from '@libp2p/interface';

/** Before the encryption is agreed on: two lines, and the first message of the handshake where it does not wait for the answer. */
const NEGOTIATION_BYTES = 128;
/** From its begin until it is known who is there; behind the handshake its maker may say what it came for. */
const HANDSHAKE_BYTES = 32 * 2 ** 10;

interface Incoming extends MultiaddrConnection {
  onData(data: { readonly byteLength: number }): void;
}

interface Count {
  bytes: number;
  limit: number;
}

/**
 * Counts what connections bring before it is known who is there.
 *
 * - F5 Whoever says more than a handshake needs is cut off before any of it is read: neither a long message nor many short ones cost more than
 *   one handshake.
 */
export class FirstBytes {
  readonly #counts = new WeakMap<object, Count>();

  /** From its begin. */
  count(connection: MultiaddrConnection): void {
    if (!isIncoming(connection) || this.#counts.has(connection)) return;
    const count: Count = { bytes: 0, limit: NEGOTIATION_BYTES };
    this.#counts.set(connection, count);
    const { onData } = connection;
    connection.onData = (data) => {
      count.bytes += data.byteLength;
      if (count.bytes > count.limit)
        connection.abort(new Error('more than a handshake needs')); // F5
      else onData.call(connection, data);
    };
  }

  /** The handshake begins. */
  encrypts(connection: object): void {
    const count = this.#counts.get(connection);
    if (count !== undefined) count.limit = HANDSHAKE_BYTES;
  }

  /** It is known who is there. */
  end(connection: object): void {
    if (!this.#counts.delete(connection)) return;
    delete (connection as { onData?: unknown }).onData; // as its class has it
  }
}

function isIncoming(connection: MultiaddrConnection): connection is Incoming {
  return typeof (connection as Partial<Incoming>).onData === 'function';
}
