import type { Platform, TransportRequest } from '../../../src/agent/index.ts';
import { AspenError, type Logger, type PeerId, type SeededRandom } from '../../../src/base/index.ts';
import { type MemoryNetwork, MemoryTransport } from '../../../src/mesh/index.ts';
import { openSecret } from '../../../src/secrets/index.ts';
import {
  type DataDirectory,
  MemoryDirectoryDisk,
  openJournaledStore,
  openMemoryDataDirectory,
} from '../../../src/storage/index.ts';
import {
  type Scheduler,
  SimClock,
  type SimClockOptions,
  SimDisk,
  type SimDiskOptions,
  SimJournalDisk,
  SimProcess,
} from '../ground/index.ts';
import { LifeNetwork } from './life-network.ts';
import { addressOf, NeighboursSource } from './neighbours-source.ts';
import { SimCrypto } from './sim-crypto.ts';
import type { SimReceiver } from './sim-receiver.ts';
import { SimSupervisor } from './sim-supervisor.ts';
import type { RunWitness } from './watched-runner.ts';

export interface SimMachineComponents {
  readonly scheduler: Scheduler;
  readonly wire: MemoryNetwork;
  readonly random: SeededRandom;
  /** Peers that a local network would show. */
  readonly neighbours: () => readonly PeerId[];
  readonly logger: (process: SimProcess) => Logger;
  readonly trial: Platform['trial'];
  /** Whom hooks tell. */
  readonly receiver: SimReceiver;
  /** Hears which programs run on the machine of this name. */
  readonly runs: (name: string) => RunWitness;
  /** A planted fault: agents do not ask what their supervisors hold. */
  readonly forgetsHeld: boolean;
  readonly makeDisk?: (random: SeededRandom, options: SimDiskOptions) => SimDisk;
}

export interface SimMachineOptions {
  readonly name: string;
  readonly clock: SimClockOptions;
  readonly disk: SimDiskOptions;
}

/** One life of the agent's process on a machine. */
export interface Boot {
  readonly process: SimProcess;
  readonly clock: SimClock;
  readonly platform: Platform;
}

/** What a machine keeps while its agent comes and goes: its disk, its files, and how wrong its clock is. */
export class SimMachine {
  readonly name: string;
  readonly disk: SimDisk;
  readonly #components: SimMachineComponents;
  readonly #files: MemoryDirectoryDisk;
  readonly #drift: number;
  readonly #supervisor: SimSupervisor;
  #wallOffsetMs: number;

  constructor(components: SimMachineComponents, { name, clock, disk }: SimMachineOptions) {
    const random = components.random.fork();
    this.name = name;
    this.#components = components;
    this.#files = new MemoryDirectoryDisk({ path: `/sim/${name}`, machine: name });
    this.disk = components.makeDisk?.(random, disk) ?? new SimDisk(random, disk);
    this.#supervisor = new SimSupervisor(
      { scheduler: components.scheduler, random, witness: components.runs(name) },
      { name, clock, forgetsHeld: components.forgetsHeld },
    );
    this.#drift = clock.drift ?? 0;
    this.#wallOffsetMs = clock.wallOffsetMs ?? 0;
  }

  /** How far the wall clock is off. Unit: ms. */
  get wallOffsetMs(): number {
    return this.#wallOffsetMs;
  }

  /** Somebody set the clock; the next boot finds it so. */
  jumpWall(byMs: number, running: SimClock | undefined): void {
    this.#wallOffsetMs += byMs;
    running?.jumpWall(byMs);
  }

  /** Runs `task` later, whatever becomes of the processes meanwhile. */
  after(afterMs: number, task: () => void): void {
    this.#components.scheduler.after(afterMs, task, `${this.name} power`);
  }

  async boot(): Promise<Boot> {
    const { scheduler, wire, random, neighbours, logger, trial, receiver } = this.#components;
    const process = new SimProcess({ name: this.name, scheduler });
    const clock = new SimClock(process, { wallOffsetMs: this.#wallOffsetMs, drift: this.#drift });
    const chance = random.fork();
    process.onCrash(() => this.#files.crash());
    const directory = mortalDirectory(
      await openMemoryDataDirectory(this.#files, { random: chance }),
      process,
    );
    const network = new LifeNetwork(wire, process, clock);
    const crypto = new SimCrypto();
    const sealingSeed = crypto.sha256(Buffer.from(this.name));
    const platform: Platform = {
      clock,
      random: chance,
      crypto,
      logger: logger(process),
      directory,
      version: '0.0.0',
      supervisor: this.#supervisor.open(clock, process),
      environment: {},
      sealingKey: crypto.sealingPublicKey(sealingSeed),
      openSealed: (sealed, self) => {
        const value = openSecret(crypto, sealingSeed, { ...sealed, peerId: self });
        if (value === undefined)
          throw new AspenError('DENIED', `"${sealed.name}" is not sealed to ${this.name}`);
        return value;
      },
      http: receiver.clientOf(clock),
      openStore: () =>
        openJournaledStore({
          base: this.disk.open(process),
          disk: new SimJournalDisk(this.disk, process),
          clock,
          random: chance,
        }),
      quarantineStore: async () => {
        this.disk.erase();
        return null;
      },
      eraseStore: async () => this.disk.erase(),
      createTransport: (request) => makeTransport(network, process, request),
      createDiscovery: ({ transport }) => [
        new NeighboursSource(() => neighbours().filter((peerId) => peerId !== transport.self)),
      ],
      ...(trial !== undefined && { trial }),
    };
    return { process, clock, platform };
  }
}

function makeTransport(
  network: LifeNetwork,
  process: SimProcess,
  { identity, gate, listen }: TransportRequest,
): MemoryTransport {
  const transport = new MemoryTransport(
    { network, gate },
    { self: identity.peerId, addresses: listen.length === 0 ? [] : [addressOf(identity.peerId)] },
  );
  process.onCrash(() => transport.crash());
  return transport;
}

/** What a dead process still wanted to write never gets to its files. */
function mortalDirectory(directory: DataDirectory, process: SimProcess): DataDirectory {
  const whileAlive = <T>(work: () => Promise<T>): Promise<T> =>
    process.isAlive ? work() : new Promise<T>(() => undefined);
  return {
    ...directory,
    get incarnation() {
      return directory.incarnation;
    },
    renewIncarnation: () => whileAlive(() => directory.renewIncarnation()),
    readFile: (name) => whileAlive(() => directory.readFile(name)),
    writeFileAtomic: (name, bytes) => whileAlive(() => directory.writeFileAtomic(name, bytes)),
    removeFile: (name) => whileAlive(() => directory.removeFile(name)),
    [Symbol.asyncDispose]: () => whileAlive(async () => directory[Symbol.asyncDispose]()),
  };
}
