import { StreamState, YamuxStream } from '@libp2p/yamux/stream';

/** What the library keeps of a stream's window; private there. Unit: bytes. */
interface Window {
  readonly recvWindow: number;
  readonly recvWindowCapacity: number;
}

const original = YamuxStream.prototype.sendWindowUpdate;

/**
 * The library answers every frame of data with a frame that gives back the credit it took, which doubles the frames of a connection on which
 * small messages go both ways: each is encrypted, written by a system call of its own, and read. Here credit is given back when half of the
 * window is used up, as other implementations of yamux do it; the sender has the other half meanwhile. What opens or accepts a stream goes at
 * once, as before. To be called once, before any connection is made.
 */
export function giveCreditInHalves(): void {
  YamuxStream.prototype.sendWindowUpdate = function (this: YamuxStream): void {
    const { recvWindow, recvWindowCapacity } = this as unknown as Window;
    if (this.state === StreamState.Established && recvWindowCapacity * 2 > recvWindow) return;
    original.call(this);
  };
}
