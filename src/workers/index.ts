export {
  type AddressPolicy,
  ALLOWED_NETWORKS_LIMIT,
  addressPolicy,
  isPublicAddress,
  parseNetwork,
} from './address-rules.ts';
export { type HookComponents, HookExecutor } from './hook-executor.ts';
export type { HttpBody, HttpClient, HttpRequest, HttpResponse } from './http-client.ts';
export { type HttpComponents, HttpExecutor, type HttpResult } from './http-executor.ts';
export { type HttpPayload, isStatusIn, parseHttpPayload } from './http-payload.ts';
export { hmacSha256, signatureOf } from './signing.ts';
