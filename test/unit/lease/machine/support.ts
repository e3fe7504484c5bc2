import { encode, type LogIndex, type Term } from '../../../../src/base/index.ts';
import {
  type ClientRequest,
  type Command,
  type CommandOutcome,
  encodeBatch,
  MACHINE_VERSION,
  Machine,
  type MachineModule,
} from '../../../../src/lease/machine/index.ts';
import type { Entry } from '../../../../src/lease/raft/index.ts';
import { MemoryStore, WriteBuffer } from '../../../../src/storage/index.ts';

export interface CommandSpec {
  readonly module: string;
  readonly kind: string;
  readonly body?: unknown;
  readonly request?: ClientRequest;
  readonly requestId?: string;
}

export function command({ module, kind, body = null, request, requestId }: CommandSpec): Command {
  return { module, kind, body: encode(body), request: request ?? null, requestId: requestId ?? null };
}

export function entryOf(
  index: number,
  commands: readonly CommandSpec[],
  times: { groupMs?: number; wallMs?: number; version?: number } = {},
): Entry {
  const { groupMs = 0, wallMs = 0, version = MACHINE_VERSION } = times;
  const payload = encodeBatch({ epoch: 1, version, groupMs, wallMs, commands: commands.map(command) });
  return { term: 1 as Term, index: index as LogIndex, kind: 'command', payload };
}

/** One replica's machine on a store in memory, fed one command an entry. */
export class Bench {
  readonly store = new MemoryStore();
  buffer = new WriteBuffer(this.store);
  machine: Machine;
  readonly #modules: readonly MachineModule[];
  groupMs = 0;
  wallMs = 1_000_000;
  /** By which entries are to be applied. */
  version = MACHINE_VERSION;

  constructor(modules: readonly MachineModule[]) {
    this.#modules = modules;
    this.machine = this.#open();
  }

  apply(spec: CommandSpec): CommandOutcome {
    return this.applyAll([spec])[0] as CommandOutcome;
  }

  applyAll(specs: readonly CommandSpec[]): readonly CommandOutcome[] {
    const { groupMs, wallMs, version } = this;
    const entry = entryOf(this.machine.appliedIndex + 1, specs, { groupMs, wallMs, version });
    return this.machine.applyEntry(entry).outcomes;
  }

  query(module: string, kind: string, body: unknown = null): unknown {
    return this.machine.query(module, kind, body);
  }

  /** As a process that ends in order and starts again. */
  async restart(): Promise<void> {
    this.machine.saveState();
    await this.buffer.flush();
    this.buffer = new WriteBuffer(this.store);
    this.machine = this.#open();
  }

  #open(): Machine {
    return new Machine({ store: this.buffer, space: 't0/', modules: this.#modules });
  }
}

export function resultOf(outcome: CommandOutcome): unknown {
  if (!outcome.ok) throw new Error(`refused: ${outcome.error.code} ${outcome.error.message}`);
  return outcome.result;
}

export function codeOf(outcome: CommandOutcome): string {
  return outcome.ok ? 'ok' : outcome.error.code;
}
