import { connect, type Socket } from 'node:net';
import { mayGoUnheard } from '../base/index.ts';
import {
  type Command,
  checkReport,
  encodeFrame,
  FrameReader,
  type HeldAttempt,
  PROTOCOL,
  type Report,
} from './frames.ts';
import type { OutputArchive, SpoolPage } from './spool.ts';
import { type SupervisedEnd, type SupervisedProcess, SupervisorGone } from './supervised.ts';

export interface LinkOptions {
  readonly socketPath: string;
  readonly secret: string;
}

export interface LinkComponents {
  readonly readOutput: (...asked: Parameters<OutputArchive['read']>) => Promise<SpoolPage | null>;
  /** By the machine's clock, from the caller's. */
  readonly toBootMs: (untilMs: number) => number;
  /** The connection is gone; what it held is told to be lost when the promise resolves. */
  readonly onGone: () => Promise<void>;
}

/** A supervisor that answers nothing is as good as gone. Unit: ms. */
const WELCOME_WITHIN_MS = 3_000;

/** An agent's connection to one supervisor. What is asked of it in one turn travels in one write. */
export class SupervisorLink {
  readonly held: readonly HeldAttempt[];
  readonly #socket: Socket;
  readonly #components: LinkComponents;
  readonly #processes = new Map<string, LinkedProcess>();
  #outgoing: Buffer[] = [];
  readonly #renewals = new Map<string, number>();
  #forgotten: string[] = [];
  #isFlushing = false;
  #isClosing = false;

  private constructor(socket: Socket, held: readonly HeldAttempt[], components: LinkComponents) {
    this.#socket = socket;
    this.held = held;
    this.#components = components;
  }

  /** @throws Error when nobody answers there as a supervisor of this version does. */
  static async open(
    { socketPath, secret }: LinkOptions,
    components: LinkComponents,
  ): Promise<SupervisorLink> {
    const socket = connect({ path: socketPath });
    const reader = new FrameReader();
    let link: SupervisorLink | undefined;
    try {
      const first = firstValues(socket, reader);
      socket.write(encodeFrame({ type: 'hello', protocol: PROTOCOL, secret }));
      const [value, ...others] = await first;
      const welcome = checkReport(value);
      if (welcome.type !== 'welcome' || welcome.protocol !== PROTOCOL)
        throw new TypeError('a supervisor of another version');
      link = new SupervisorLink(socket, welcome.attempts, components);
      link.#listen(reader, others);
      return link;
    } catch (error) {
      if (link === undefined) socket.destroy();
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.#isClosing || this.#socket.destroyed;
  }

  /** Names whose end was not told to be lost or reached yet. */
  get liveKeys(): readonly string[] {
    return Array.from(this.#processes.values(), ({ key }) => key);
  }

  process(name: string, key: string): LinkedProcess {
    const process = new LinkedProcess(this, { name, key });
    this.#processes.set(name, process);
    return process;
  }

  send(command: Command): void {
    this.#outgoing.push(encodeFrame(command));
    this.#flushSoon();
  }

  renew(name: string, untilMs: number): void {
    this.#renewals.set(name, this.#components.toBootMs(untilMs));
    this.#flushSoon();
  }

  forget(name: string): void {
    this.#processes.delete(name);
    this.#renewals.delete(name);
    this.#forgotten.push(name);
    this.#flushSoon();
  }

  readOutput(...asked: Parameters<OutputArchive['read']>): Promise<SpoolPage | null> {
    return this.#components.readOutput(...asked);
  }

  /** Leaves the supervisor as it is. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#flush();
    await new Promise<void>((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.once('close', () => resolve()).end();
    });
  }

  #listen(reader: FrameReader, first: readonly unknown[]): void {
    const hear = (values: readonly unknown[]) => {
      for (const value of values) this.#hear(checkReport(value));
    };
    this.#socket.on('close', () => void this.#end());
    this.#socket.on('data', (bytes: Buffer) => {
      try {
        hear(reader.push(bytes));
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        this.#socket.destroy();
      }
    });
    hear(first);
  }

  #hear(report: Report): void {
    if (report.type === 'output')
      for (const [name, bytes] of report.sizes) this.#processes.get(name)?.grow(bytes);
    if (report.type === 'ended') this.#processes.get(report.name)?.settle(report.end, report.outputBytes);
  }

  async #end(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    await this.#components.onGone();
    for (const process of this.#processes.values()) process.lose('its supervisor was killed');
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushing = false;
    if (this.#renewals.size > 0)
      this.#outgoing.push(encodeFrame({ type: 'renew', holds: [...this.#renewals] }));
    if (this.#forgotten.length > 0)
      this.#outgoing.push(encodeFrame({ type: 'forget', names: this.#forgotten }));
    this.#renewals.clear();
    this.#forgotten = [];
    const outgoing = this.#outgoing;
    this.#outgoing = [];
    if (outgoing.length > 0 && this.#socket.writable) this.#socket.write(Buffer.concat(outgoing));
  }
}

/** @returns the values of the first bytes that hold one. */
function firstValues(socket: Socket, reader: FrameReader): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(impatience);
      socket.off('data', onData).off('close', onClose);
      settle();
    };
    const onClose = () => end(() => reject(new TypeError('no supervisor answers')));
    const onData = (bytes: Buffer) => {
      try {
        const values = reader.push(bytes);
        if (values.length > 0) end(() => resolve(values));
      } catch (error) {
        end(() => reject(error));
      }
    };
    const impatience = setTimeout(onClose, WELCOME_WITHIN_MS);
    socket.on('error', () => socket.destroy());
    socket.on('data', onData).on('close', onClose);
  });
}

/** One attempt as its agent sees it. */
export class LinkedProcess implements SupervisedProcess {
  readonly ended: Promise<SupervisedEnd>;
  readonly key: string;
  outputBytes = 0;
  readonly #name: string;
  readonly #link: SupervisorLink;
  readonly #settled = Promise.withResolvers<SupervisedEnd>();
  readonly #callbacks = new Set<() => void>();

  constructor(link: SupervisorLink, { name, key }: { readonly name: string; readonly key: string }) {
    this.#link = link;
    this.#name = name;
    this.key = key;
    this.ended = mayGoUnheard(this.#settled.promise);
  }

  onOutput(callback: () => void): Disposable {
    this.#callbacks.add(callback);
    return { [Symbol.dispose]: () => this.#callbacks.delete(callback) };
  }

  async readOutput(fromOffset: number, bytesLimit: number, into?: Uint8Array): Promise<SpoolPage> {
    const within = Math.min(bytesLimit, Math.max(0, this.outputBytes - fromOffset));
    const page = within === 0 ? null : await this.#link.readOutput(this.key, fromOffset, within, into);
    return page ?? { chunks: [], nextOffset: fromOffset };
  }

  stop(graceMs: number): void {
    this.#link.send({ type: 'stop', name: this.#name, graceMs });
  }

  renew(holdUntilMs: number): void {
    this.#link.renew(this.#name, holdUntilMs);
  }

  forget(): void {
    this.#link.forget(this.#name);
  }

  grow(bytes: number): void {
    this.outputBytes = Math.max(this.outputBytes, bytes);
    this.#tell();
  }

  settle(end: SupervisedEnd, outputBytes: number): void {
    this.outputBytes = Math.max(this.outputBytes, outputBytes);
    this.#settled.resolve(end);
    this.#tell();
  }

  lose(reason: string): void {
    this.#settled.reject(new SupervisorGone(reason));
    this.#tell();
  }

  #tell(): void {
    for (const callback of [...this.#callbacks]) callback();
  }
}
