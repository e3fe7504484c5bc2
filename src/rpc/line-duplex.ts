/**
 * One connection of bytes both ways, as the socket's contract needs it. The operating system's is `OsLineDuplex`;
 * `createMemoryDuplexPair` makes two ends in memory.
 */
export interface LineDuplex {
  /** Text written and not yet taken by the other side. Unit: bytes, about. */
  readonly bufferedBytes: number;
  /** @returns false when the other side reads slower than we write; `onDrain` tells when it caught up. Text is sent in any case. */
  write(text: string): boolean;
  /** Stops and goes on delivering data. */
  pause(): void;
  resume(): void;
  /** Closes after what was written has gone out. */
  close(): void;
  /** Closes at once. */
  destroy(): void;
  onData(callback: (chunk: Buffer) => void): void;
  onDrain(callback: () => void): void;
  /** The other side will send no more; it may still read. */
  onEnd(callback: () => void): void;
  onClose(callback: () => void): void;
}

/** Where connections come from. */
export interface LineListener {
  /** For people, e.g. the path of the socket. */
  readonly address: string;
  /** @throws AspenError CONFLICT when somebody else answers there. */
  listen(onConnection: (duplex: LineDuplex) => void): Promise<void>;
  /** No new connections; those that are open stay. */
  close(): Promise<void>;
}
