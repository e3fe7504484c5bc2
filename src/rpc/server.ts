import { AspenError, type Logger, type Startable, whenAborted } from '../base/index.ts';
import type { CallCounts } from './call-counts.ts';
import { checkParams } from './check-params.ts';
import type { LineDuplex, LineListener } from './line-duplex.ts';
import { LineRoom } from './line-room.ts';
import { isMethodName, METHODS, type MethodName, type Params, type Result } from './methods/table.ts';
import { nearestName } from './nearest-name.ts';
import { describeMethods } from './openrpc.ts';
import { type RpcAnswer, RpcPeer, type RpcPeerOptions } from './rpc-peer.ts';

/** What a handler knows of whoever asks. */
export interface Connection {
  readonly id: number;
  /** Aborted when the connection has closed: subscriptions and waits of its client end then. */
  readonly signal: AbortSignal;
  /** @returns false when the client reads slower than we write: wait for `drained` before more. */
  notify(method: string, params: unknown): boolean;
  drained(): Promise<void>;
  /** Asks the client. @throws AspenError as it answered; UNAVAILABLE when the connection closes first. */
  request(method: string, params: unknown): Promise<unknown>;
  /** Asks the client; the answer comes as the client sent it. @returns false when the client reads slower than we write. */
  ask(method: string, params: unknown, onAnswer: (answer: RpcAnswer) => void): boolean;
  close(): void;
}

export type Handler<M extends MethodName> = (params: Params<M>, connection: Connection) => Promise<Result<M>>;

/** One handler for each method of the table; `rpc.discover` answers by itself. */
export type Handlers = { readonly [M in Exclude<MethodName, 'rpc.discover'>]: Handler<M> };

export interface RpcServerComponents {
  readonly listener: LineListener;
  readonly handlers: Handlers;
  readonly logger: Logger;
  /** Where calls are counted. @default they are not */
  readonly counts?: CallCounts;
}

export interface RpcServerOptions extends RpcPeerOptions {
  /** For the OpenRPC document. */
  readonly version: string;
  /** Connections at once; more are closed as they come. @default 4_096 */
  readonly connectionLimit?: number;
  /** Checks each result against the schema too. For tests: it costs time. @default false */
  readonly checksResults?: boolean;
}

export interface RpcServer extends Startable {
  readonly connectionCount: number;
}

/**
 * Serves the method table on a listener. `start` begins to listen, `stop` resolves when every connection has closed, after what was
 * answered went out; an answer that is not there yet is not waited for.
 */
export function createRpcServer(components: RpcServerComponents, options: RpcServerOptions): RpcServer {
  const { listener, logger, counts } = components;
  const { connectionLimit = 4_096 } = options;
  const peers = new Set<RpcPeer>();
  const peerOptions = { lineRoom: new LineRoom(), ...options };
  const dispatch = createDispatch(components, options);
  let lastId = 0;

  const accept = (duplex: LineDuplex) => {
    if (peers.size >= connectionLimit) {
      logger.warn({ connectionLimit }, 'too many connections, one refused');
      duplex.destroy();
      return;
    }
    lastId += 1;
    const peer: RpcPeer = new RpcPeer(
      { duplex, logger, handle: (method, params) => dispatch(method, params, connection) },
      peerOptions,
    );
    const connection = connectionOf(lastId, peer);
    peers.add(peer);
    if (counts !== undefined) counts.connectionCount = peers.size;
    const forget = () => {
      peers.delete(peer);
      if (counts !== undefined) counts.connectionCount = peers.size;
    };
    peer.signal.addEventListener('abort', forget, { once: true });
  };

  return {
    get connectionCount() {
      return peers.size;
    },
    async start() {
      await listener.listen(accept);
      logger.info({ address: listener.address }, 'socket is open');
    },
    async stop() {
      await listener.close();
      const closing = [...peers];
      for (const peer of closing) peer.close();
      await Promise.all(closing.map((peer) => whenAborted(peer.signal)));
    },
  };
}

type Dispatch = (method: string, params: unknown, connection: Connection) => Promise<unknown>;

/** Finds the method, checks the params, calls the handler; counts in the same turn. Without a frame of its own: it is called for each request. */
function createDispatch(
  { handlers, counts }: RpcServerComponents,
  { version, checksResults = false }: RpcServerOptions,
): Dispatch {
  const call = (method: MethodName, params: unknown, connection: Connection): Promise<unknown> => {
    const checked = checkParams(method, params);
    if (method === 'rpc.discover') return Promise.resolve(describeMethods({ version }));
    // The table ties each method to its params; TypeScript cannot follow that through a name known only at run time.
    const handler = handlers[method] as (params: unknown, connection: Connection) => Promise<unknown>;
    const answer = handler(checked, connection);
    return checksResults ? answer.then(checkedBy(method)) : answer;
  };
  return (method, params, connection) => {
    if (!isMethodName(method)) {
      counts?.unknownMethod();
      return Promise.reject(methodNotFound(method));
    }
    const end = counts?.begin(method);
    return begun(() => call(method, params, connection)).then(
      (result) => {
        end?.();
        return result;
      },
      (error: unknown) => {
        end?.(error);
        throw error;
      },
    );
  };
}

/** @returns a way to pass a result on that throws where the result is not what the method says. */
function checkedBy(method: MethodName): (result: unknown) => unknown {
  return (result) => {
    METHODS[method].result.parse(result);
    return result;
  };
}

/** @returns what `work` returns, or its error as a rejection. */
function begun(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error);
  }
}

function methodNotFound(method: string): AspenError {
  const nearest = nearestName(method, Object.keys(METHODS));
  const hint = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
  return new AspenError('METHOD_NOT_FOUND', `no method "${method.slice(0, 128)}"${hint}`);
}

function connectionOf(id: number, peer: RpcPeer): Connection {
  return {
    id,
    signal: peer.signal,
    notify: (method, params) => peer.notify(method, params),
    drained: () => peer.drained(),
    request: (method, params) => peer.request(method, params),
    ask: (method, params, onAnswer) => peer.ask(method, params, onAnswer),
    close: () => peer.close(),
  };
}
