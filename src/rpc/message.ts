export type RpcId = string | number | null;

/** One JSON-RPC 2.0 value, told apart. A response is matched by an id of ours, which is a number. */
export type RpcMessage =
  | { readonly type: 'request'; readonly id: RpcId; readonly method: string; readonly params: unknown }
  | { readonly type: 'notification'; readonly method: string; readonly params: unknown }
  | { readonly type: 'result'; readonly id: number; readonly result: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: unknown }
  /** `answers` is the request of ours that it may be meant for: it names no method. */
  | { readonly type: 'invalid'; readonly id: RpcId; readonly reason: string; readonly answers?: number };

export function classifyMessage(value: unknown): RpcMessage {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { type: 'invalid', id: null, reason: 'a message is a JSON object' };
  }
  const { jsonrpc, id, method, params, result, error } = value as Readonly<Record<string, unknown>>;
  const ownId = isRpcId(id) ? id : null;
  if (jsonrpc !== '2.0') {
    return { type: 'invalid', id: ownId, reason: '"jsonrpc" must be "2.0"', ...answered(method, id) };
  }
  if (method === undefined) return classifyResponse({ id, result, error });
  if (typeof method !== 'string') return { type: 'invalid', id: ownId, reason: '"method" must be a string' };
  if (id === undefined) return { type: 'notification', method, params };
  if (!isRpcId(id)) return { type: 'invalid', id: null, reason: '"id" must be a string, a number or null' };
  return { type: 'request', id, method, params };
}

function classifyResponse({
  id,
  result,
  error,
}: Readonly<Record<'id' | 'result' | 'error', unknown>>): RpcMessage {
  const hasError = error !== undefined && error !== null;
  if (typeof id === 'number' && hasError) return { type: 'error', id, error };
  if (typeof id === 'number' && result !== undefined) return { type: 'result', id, result };
  const reason = '"method" is missing; an answer has "result" or "error"';
  return { type: 'invalid', id: isRpcId(id) ? id : null, reason, ...answered(undefined, id) };
}

function answered(method: unknown, id: unknown): { readonly answers?: number } {
  return method === undefined && typeof id === 'number' ? { answers: id } : {};
}

function isRpcId(id: unknown): id is RpcId {
  return typeof id === 'string' || typeof id === 'number' || id === null;
}

export function formatRequest(id: number, method: string, params: unknown): string {
  return `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${JSON.stringify(params ?? {})}}`;
}

export function formatNotification(method: string, params: unknown): string {
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${JSON.stringify(params ?? {})}}`;
}

export function formatResult(id: RpcId, result: unknown): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(result ?? null)}}`;
}

export function formatError(id: RpcId, error: unknown): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${JSON.stringify(error)}}`;
}
