import type { CliIo, CliOutput, Interrupt } from './io.ts';

/** Set by the launcher where it was begun with SIGHUP ignored (`nohup`): Node forgets that. */
const isHangupIgnored = process.env['ASPEN_HANGUP_IGNORED'] === '1';
const INTERRUPTS: readonly Interrupt[] = [
  'SIGINT',
  'SIGTERM',
  ...(isHangupIgnored ? [] : (['SIGHUP'] as const)),
];

/** The process's own standard streams and signals. */
export function createOsIo({
  startAgent,
  restoreBackup,
  checkTicket,
  readSettings,
  self,
}: Pick<CliIo, 'startAgent' | 'restoreBackup' | 'checkTicket' | 'readSettings' | 'self'>): CliIo {
  const loss = new OutputLoss();
  if (isHangupIgnored) process.on('SIGHUP', () => undefined);
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    stdin: process.stdin,
    env: process.env,
    onInterrupt(callback) {
      const onSignal = (signal: NodeJS.Signals) => {
        if (signal === 'SIGHUP') loss.expect();
        callback(signal as Interrupt);
      };
      for (const signal of INTERRUPTS) process.on(signal, onSignal);
      return {
        [Symbol.dispose]() {
          for (const signal of INTERRUPTS) process.off(signal, onSignal);
        },
      };
    },
    onOutputLost: (callback) => loss.add(callback),
    exitNow: (code) => process.exit(code),
    startAgent,
    restoreBackup,
    checkTicket,
    readSettings,
    self,
  };
}

function outputOf(stream: NodeJS.WriteStream): CliOutput {
  return {
    write: (text) => void stream.write(text),
    isTTY: stream.isTTY === true,
    drained: () =>
      new Promise((resolve) => {
        if (stream.writableNeedDrain) stream.once('drain', resolve);
        else resolve();
      }),
  };
}

/** Who is told when standard output takes no more. */
class OutputLoss {
  readonly #callbacks = new Set<(reason: string) => void>();
  #isTold = false;

  constructor() {
    process.stderr.on('error', () => undefined); // nobody is left to be told; what was begun goes to its end
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      const callbacks = [...this.#callbacks];
      this.#callbacks.clear();
      if (callbacks.length === 0 && !this.#isTold) endWith(error);
      this.#isTold = true;
      for (const callback of callbacks)
        callback(isReaderGone(error) ? 'nobody reads its output any more' : error.message);
    });
  }

  /** The terminal is closed, and whoever listens knows: that nothing can be written there is no news. */
  expect(): void {
    this.#callbacks.clear();
    this.#isTold = true;
  }

  add(callback: (reason: string) => void): Disposable {
    this.#callbacks.add(callback);
    return { [Symbol.dispose]: () => void this.#callbacks.delete(callback) };
  }
}

/** A reader that went away (`| head`) ends the command quietly, as any tool of the shell does; a disk that is full does not. */
function endWith(error: NodeJS.ErrnoException): void {
  if (isReaderGone(error)) process.exit(0);
  process.stderr.write(`aspen-agent: cannot write to standard output: ${error.message}\n`, () =>
    process.exit(1),
  );
}

function isReaderGone({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE';
}

/** Resolves when all that was written has gone out. */
export async function flushStandardStreams(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
    ),
  );
}
