import type { Socket } from 'node:net';
import type { noise } from '@chainsafe/libp2p-noise';
import type { Stream } from '@libp2p/interface';

type Noise = ReturnType<typeof noise>;

/** What is shorter is copied into one piece; what is longer leaves as it is, in one call. Unit: bytes. */
const JOINED_BYTES = 8 * 2 ** 10;
/** What may wait in a socket before its stream is told to wait. Unit: bytes. */
const SOCKET_BYTES_LIMIT = 256 * 2 ** 10;
/** What a peer may send on a channel before it has to hear from us. Unit: bytes. */
const WINDOW_BYTES = 2 ** 20;

interface Pieces extends Iterable<Uint8Array> {
  readonly byteLength: number;
  subarray(): Uint8Array;
}

interface SocketConnection {
  readonly socket: Socket;
  sendData(data: Pieces): { readonly sentBytes: number; readonly canSendMore: boolean };
}

/**
 * The library writes each length, each part and each tag of an encrypted message to the socket by itself: three system calls and packets
 * or more. @returns the encrypter, over connections that write what belongs together at once.
 * @param onIncoming called before the handshake of a connection that came in.
 */
export function gathering(make: Noise, onIncoming: (connection: object) => void): Noise {
  return (components) => {
    const encrypter = make(components);
    const { secureInbound, secureOutbound } = encrypter;
    encrypter.secureInbound = (connection, options) => {
      onIncoming(connection);
      gatherWrites(connection);
      return secureInbound.call(encrypter, connection, options);
    };
    encrypter.secureOutbound = (connection, options) => {
      gatherWrites(connection);
      return secureOutbound.call(encrypter, connection, options);
    };
    return encrypter;
  };
}

function gatherWrites(connection: object): void {
  if (!hasSocket(connection)) return;
  const { socket } = connection;
  connection.sendData = (data) => {
    if (data.byteLength <= JOINED_BYTES) socket.write(data.subarray());
    else {
      socket.cork();
      for (const piece of data) socket.write(piece);
      socket.uncork();
    }
    // Above its own mark, which is lower, the socket says when it is empty.
    return { sentBytes: data.byteLength, canSendMore: socket.writableLength < SOCKET_BYTES_LIMIT };
  };
}

function hasSocket(connection: object): connection is SocketConnection {
  const { socket, sendData } = connection as Partial<SocketConnection>;
  return typeof socket?.cork === 'function' && typeof sendData === 'function';
}

interface YamuxWindow {
  recvWindow: number;
}

/** Lets the peer of a channel send more before it has to hear from us: the library begins with little, and never measures whether more would help. */
export function widenWindow(stream: Stream): void {
  if (hasWindow(stream)) stream.recvWindow = Math.max(stream.recvWindow, WINDOW_BYTES);
}

function hasWindow(stream: object): stream is YamuxWindow {
  return typeof (stream as Partial<YamuxWindow>).recvWindow === 'number';
}
