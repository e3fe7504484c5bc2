// The client's way into this folder: everything a client needs at run time, without the schemas (see mutating-methods.ts).
export type { LineDuplex } from './line-duplex.ts';
export { MUTATING_METHODS } from './mutating-methods.ts';
export { dialSocket, socketPathOf } from './os-socket.ts';
export { fromRpcError, RpcFailure } from './rpc-error.ts';
export { RpcPeer } from './rpc-peer.ts';
