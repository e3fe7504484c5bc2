import type { AuditFiles } from '../audit/index.ts';
import type { Clock, Crypto, Logger, Lull, MeshId, PeerId, Random } from '../base/index.ts';
import type { BlobDisk } from '../blobs/index.ts';
import type { RegistryComponents, RegistryOptions } from '../crdt/index.ts';
import type { Contact, DiscoverySource } from '../discovery/index.ts';
import type { GroupComponents, GroupOptions } from '../lease/index.ts';
import type { Gate, Identity, MembershipGate, Transport } from '../mesh/index.ts';
import type { SealedForNode } from '../secrets/index.ts';
import type { Compactor, DataDirectory, Store } from '../storage/index.ts';
import type { OutputArchive, Supervisor } from '../supervisor/index.ts';
import type { Codecs, HttpClient } from '../workers/index.ts';
import type { Check } from './doctor.ts';
import type { Gateway } from './net/default-gateway.ts';
import type { MachineNetwork } from './net/network-facts.ts';
import type { ProxyProbe } from './net/proxy-probe.ts';
import type { UdpPort } from './net/udp-port.ts';
import type { GatewayHttp } from './net/upnp-client.ts';
import type { MachinePower } from './power.ts';
import type { ProcessFacts } from './process-facts.ts';

export interface TransportRequest {
  readonly identity: Identity;
  readonly gate: Gate;
  readonly meshId: MeshId;
  /** Multiaddrs; empty to dial only. */
  readonly listen: readonly string[];
  /** Told to others in place of what it listens on. @default that */
  readonly announce?: readonly string[];
}

/** What ways of finding members may need of the node they are for. What is a function answers once the node was started. */
export interface DiscoveryRequest {
  readonly meshId: MeshId;
  readonly identity: Identity;
  readonly gate: Pick<MembershipGate, 'standingOf' | 'members'>;
  readonly transport: Transport;
  /** Each shows the other its certificate; rejects when one of them has none. */
  readonly introduce: (contact: Contact, signal: AbortSignal) => Promise<void>;
  /** Where a peer may be, the best first. */
  readonly addressesOf: (peerId: PeerId) => readonly string[];
  /** Where others may try to reach this node. */
  readonly ownAddresses: () => readonly string[];
  /** Whether it is reached from anywhere, or its owner says so. */
  readonly isReachable: () => boolean;
}

/**
 * Everything an agent gets from the world around it. The daemon builds it from the operating system, libp2p and lmdb; simulations
 * build it from seeded twins. What is above it is the same code.
 */
export interface Platform {
  readonly clock: Clock;
  /** @default at once */
  readonly lull?: Lull;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly logger: Logger;
  readonly directory: DataDirectory;
  /** The program's version, `x.y.z`. */
  readonly version: string;
  /** Runs the processes of attempts, over restarts of the agent. */
  readonly supervisor: Supervisor;
  /** Where their output lies after they have ended. @default nowhere */
  readonly archive?: OutputArchive;
  /** What executors may pass on of the agent's own environment (an allow-list is theirs). */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What the machine runs on now. @default it cannot tell */
  power?(): MachinePower;
  /** What the machine is, as labels without a prefix: `os`, `arch`, `cpus`, `memoryGiB`, `hostname`. @default nothing is known */
  readonly machine?: Readonly<Record<string, string>>;
  /** What the machine says about its network. @default nothing is known */
  network?(): MachineNetwork;
  /** Another text when the machine is in another network; asked twice a second. @default nobody can tell */
  networkMark?(): string;
  /** The router that this machine could ask for a port. @default none is asked */
  gateway?(): Gateway | undefined;
  /** How it is asked by UPnP. @default it is not */
  readonly gatewayHttp?: GatewayHttp;
  /** @default there is no UDP */
  readonly udp?: UdpPort;
  /** @default nobody said anything of a proxy */
  readonly proxy?: ProxyProbe;
  /** What the system tells of this process. @default nothing */
  process?(): ProcessFacts;
  /** Job types that the owner wants held by what this machine does not have. @default none */
  readonly refusedTypes?: readonly string[];
  /** What only the system itself can tell `doctor`. @default nothing */
  checks?(): readonly Check[];
  openStore(): Promise<Store>;
  /** Gives back to the disk what the store does not use. @default nothing can */
  readonly compactor?: Compactor;
  /** Moves the (closed) store aside, to be looked at. @returns where it is; null when there was none. */
  quarantineStore(reason: string): Promise<string | null>;
  /** Removes the contents of the (closed) store for good, and the blobs. */
  eraseStore(): Promise<void>;
  /** X25519, 32 bytes: what secrets are sealed to for this machine. @default it is given none */
  readonly sealingKey?: Uint8Array;
  /** Opens what is sealed to it. @default nothing can be @throws AspenError DENIED naming the secret when it is sealed to another key. */
  readonly openSealed?: (sealed: SealedForNode, self: PeerId) => Uint8Array;
  /** Where the audit log lies. @default none is kept */
  readonly auditFiles?: AuditFiles;
  /** Where blobs are kept. @default in memory, as long as the node runs */
  readonly blobDisk?: BlobDisk;
  /** Asks the world over HTTP. @default nobody does, and no job that needs it is run here */
  readonly http?: HttpClient;
  /** Compresses and sums up bytes. @default no job that needs it is run here */
  readonly codecs?: Codecs;
  createTransport(request: TransportRequest): Transport;
  /** Ways to find members of this mesh, beside tickets and remembered peers. */
  createDiscovery(request: DiscoveryRequest): readonly DiscoverySource[];
  /** For simulations only: modules that watch what is applied, a log that is cut early, or a planted fault. @default what the daemon runs with */
  readonly trial?: Partial<Pick<GroupComponents, 'modules' | 'commitRule' | 'isHashed'>> &
    Pick<GroupOptions, 'replica'> &
    Pick<RegistryComponents, 'refutation'> &
    Pick<RegistryOptions, 'missedFrom' | 'heartbeatEveryMs'>;
}
