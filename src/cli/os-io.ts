import type { CliIo, CliOutput } from './io.ts';

/** The process's own standard streams and signals. */
export function createOsIo({
  startAgent,
  restoreBackup,
  checkTicket,
  readSettings,
  self,
}: Pick<CliIo, 'startAgent' | 'restoreBackup' | 'checkTicket' | 'readSettings' | 'self'>): CliIo {
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    stdin: process.stdin,
    env: process.env,
    onInterrupt(callback) {
      const onSignal = (signal: NodeJS.Signals) => callback(signal as 'SIGINT' | 'SIGTERM');
      process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
      return { [Symbol.dispose]: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal) };
    },
    exitNow: (code) => process.exit(code),
    startAgent,
    restoreBackup,
    checkTicket,
    readSettings,
    self,
  };
}

/** A reader that went away (`| head`) ends the command quietly, as any tool of the shell does. */
function outputOf(stream: NodeJS.WriteStream): CliOutput {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
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

/** Resolves when all that was written has gone out. */
export async function flushStandardStreams(): Promise<void> {
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
    ),
  );
}
