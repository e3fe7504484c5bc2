import { AspenError, newId } from '../../base/index.ts';
import type { AttachedWorker, WorkerAttemptName } from '../../jobs/index.ts';
import { roleAllows } from '../../mesh/index.ts';
import type { Connection, Handlers, Params } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { refuseReserved } from '../label-book.ts';
import { ConnectionLink } from './worker-link.ts';

type WorkerHandlers = Pick<
  Handlers,
  'worker.attach' | 'worker.detach' | 'worker.heartbeat' | 'worker.progress' | 'worker.log'
>;

interface Attached {
  readonly worker: AttachedWorker;
  readonly requestId: string | undefined;
}

/** Programs that run jobs over this socket. A worker is its connection's alone. */
export function workerHandlers(daemon: Daemon): WorkerHandlers {
  const byConnection = new WeakMap<Connection, Attached[]>();
  const attachedTo = (connection: Connection) => byConnection.get(connection) ?? [];
  const holderOf = (connection: Connection, name: WorkerAttemptName): AttachedWorker => {
    const holder = attachedTo(connection).find(({ worker }) => worker.isRunning(name));
    if (holder !== undefined) return holder.worker;
    throw new AspenError(
      'FENCED',
      `no worker on this connection runs attempt ${name.attempt} of ${name.jobId}`,
    );
  };
  return {
    'worker.attach': async (params, connection) => {
      const alive = attachedTo(connection).filter(({ worker }) => !worker.isDrained);
      const { requestId } = params;
      const same = requestId === undefined ? undefined : alive.find((one) => one.requestId === requestId);
      const worker = same?.worker ?? attach(daemon, params, connection);
      if (same === undefined) byConnection.set(connection, [...alive, { worker, requestId }]);
      return { workerId: worker.id };
    },
    'worker.detach': async ({ workerId }, connection) => {
      const found = attachedTo(connection).find(({ worker }) => worker.id === workerId);
      if (found === undefined) throw new AspenError('NOT_FOUND', `no worker ${workerId} on this connection`);
      found.worker.drain();
      return { workerId, running: found.worker.heldCount };
    },
    'worker.heartbeat': async ({ workerId, attempts }) => {
      const lost = daemon.node.worker.beat(workerId, attempts);
      return { lost: lost.map(({ jobId, attempt }) => ({ jobId, attempt })) };
    },
    'worker.progress': async ({ jobId, attempt, percent, message, counters }, connection) => {
      const name = { jobId, attempt };
      holderOf(connection, name).progress(name, {
        ...(percent !== undefined && { percent }),
        ...(message !== undefined && { message }),
        ...(counters !== undefined && { counters }),
      });
      return {};
    },
    'worker.log': async ({ jobId, attempt, stream, data, encoding }, connection) => {
      const name = { jobId, attempt };
      await holderOf(connection, name).log(name, stream, Buffer.from(data, encoding));
      return {};
    },
  };
}

function attach(
  daemon: Daemon,
  { types, concurrency, labels = {} }: Params<'worker.attach'>,
  connection: Connection,
): AttachedWorker {
  const { node, platform } = daemon;
  refuseReserved(labels);
  if (!roleAllows(node.role, 'worker')) {
    throw new AspenError('DENIED', `this node has the role ${node.role}, which runs no jobs`);
  }
  const options = { id: newId('wrk', platform), types: [...new Set(types)], concurrency, labels };
  const worker = node.worker.attach(new ConnectionLink(connection), options);
  connection.signal.addEventListener('abort', () => worker.close(), { once: true });
  return worker;
}
