/** An address of an interface that is up and not loopback. */
export interface InterfaceAddress {
  readonly interface: string;
  readonly family: 4 | 6;
  readonly host: string;
}

/** What the machine says about its network. */
export interface MachineNetwork {
  readonly addresses: readonly InterfaceAddress[];
  /** Why members on the same network are not found by multicast, for people; undefined when nothing speaks against it. */
  readonly multicastProblem: string | undefined;
}
