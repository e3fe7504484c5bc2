export type { Incoming, Messenger, RequestOptions } from './messenger.ts';
export {
  FRAME_BYTES_LIMIT,
  type Gate,
  type PeerLink,
  type Priority,
  type Standing,
  type Transport,
} from './transport.ts';
