/** A datagram as it came, or is to go. */
export interface Datagram {
  readonly host: string;
  readonly port: number;
  readonly bytes: Uint8Array;
}

/** A UDP socket on any port of every interface. */
export interface UdpSocket extends Disposable {
  readonly port: number;
  /** What does not leave is lost, as it may be on the way. */
  send(datagram: Datagram): void;
}

/** Absent where there is no UDP, as in simulations. */
export interface UdpPort {
  /**
   * @param wantedPort taken where it is free. @default any
   * @throws AspenError UNAVAILABLE when the system refuses a socket.
   */
  open(family: 4 | 6, onDatagram: (datagram: Datagram) => void, wantedPort?: number): Promise<UdpSocket>;
}
