export { unlessAborted, whenAborted, withDeadline } from './abort.ts';
export { isAsDecoded } from './as-decoded.ts';
export { InvariantError, invariant, unreachable } from './assert.ts';
export { type BackoffOptions, backoffMs } from './backoff.ts';
export { Batcher, type BatcherOptions, type BatchPlace } from './batcher.ts';
export type { Brand, LogIndex, MeshId, PeerId, Term } from './brand.ts';
export { CannotStart } from './cannot-start.ts';
export { type Clock, every, pause, sleep, type Timer, toBeat } from './clock.ts';
export {
  decode,
  decodeForeign,
  decodeForeignOrUndefined,
  decodeOrUndefined,
  encode,
} from './codec.ts';
export { type Coordinate, estimateRttMs } from './coordinate.ts';
export type { Crypto } from './crypto.ts';
export { exactDuration, formatDuration, parseDurationMs } from './duration.ts';
export {
  AspenError,
  type AspenErrorOptions,
  ERROR_KINDS,
  type ErrorCode,
  type ErrorDetails,
  fromWireError,
  isErrorCode,
  type Outcome,
  type Retry,
  toWireError,
  type WireError,
} from './errors.ts';
export { hash32, hash32Bytes, hash48, hash48Bytes } from './hash.ts';
export { type IdPrefix, IdSequence, newId } from './ids.ts';
export { type Startable, Tasks } from './lifecycle.ts';
export { Listeners } from './listeners.ts';
export { type Logger, silentLogger } from './logger.ts';
export type { Lull } from './lull.ts';
export { mapAtMost } from './map-at-most.ts';
export { mayGoUnheard } from './may-go-unheard.ts';
export {
  CountsBy,
  DURATION_BOUNDS_S,
  formatMetrics,
  Histogram,
  type HistogramSample,
  type MetricFamily,
  type MetricLabels,
  type MetricSample,
  metric,
  metricBy,
  OTHER_SERIES,
  SERIES_LIMIT,
} from './metrics.ts';
export { OneByOne, OneByOneOf } from './one-by-one.ts';
export {
  ATTEMPT_SPAN_BYTES,
  attemptOfOffset,
  FIRST_SHARED_ATTEMPT,
  spanStart,
} from './output-offset.ts';
export { PROTO_KEY_REFUSED, protoKeyPath } from './proto-key.ts';
export {
  type Random,
  randomChance,
  randomFloat,
  randomInt,
  randomPick,
  randomShuffle,
  SeededRandom,
} from './random.ts';
export { roughBytes } from './rough-bytes.ts';
export { exactSize, parseSizeBytes } from './size.ts';
export { SlotList } from './slot-list.ts';
export { SlotMap } from './slot-map.ts';
export { isWebUrl } from './web-url.ts';
