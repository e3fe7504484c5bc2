import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv, exit, pid } from 'node:process';
import { silentLogger } from '../../../src/base/index.ts';
import { createRpcServer } from '../../../src/rpc/index.ts';
import { OsSocketListener, socketPathOf } from '../../../src/rpc/os-socket.ts';
import { createFakeAgent } from '../rpc/fake-handlers.ts';

// A program that takes the command line of an agent and answers on its socket, until it is told to stop.
const dataDir = argv[argv.indexOf('--data-dir') + 1] as string;
writeFileSync(join(dataDir, 'started.json'), JSON.stringify({ pid, args: argv.slice(2) }));
const server = createRpcServer(
  {
    listener: new OsSocketListener(socketPathOf(dataDir)),
    handlers: createFakeAgent().handlers,
    logger: silentLogger,
  },
  { version: '0.1.0' },
);
process.once('SIGTERM', () => exit(0));
await server.start();
