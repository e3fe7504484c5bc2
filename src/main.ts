import { readFileSync } from 'node:fs';
import { argv, env, execArgv, execPath, exit } from 'node:process';
import { keepCompiledCode } from './cli/os-compile-cache.ts';

keepCompiledCode(env); // before anything else is loaded
const { runCli } = await import('./cli/index.ts');
const { createOsIo, flushStandardStreams } = await import('./cli/os-io.ts');

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

const io = createOsIo({
  self: [execPath, ...execArgv, import.meta.filename],
  async startAgent(options) {
    const { runAgent } = await import('./agent/os-main.ts');
    return await runAgent(options);
  },
  async restoreBackup(options) {
    const { restoreBackup } = await import('./agent/os-restore.ts');
    return await restoreBackup(options);
  },
  async checkTicket(text) {
    const { checkTicket } = await import('./agent/os-ticket-check.ts');
    checkTicket(text);
  },
  async readSettings(dataDir) {
    const { readSettings } = await import('./agent/os-config.ts');
    return await readSettings(dataDir);
  },
});

const code = await runCli(argv.slice(2), io, { version: manifest.version });
await flushStandardStreams();
exit(code);
