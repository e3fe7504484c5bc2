import { z } from 'zod';
import type { PeerId } from '../../base/index.ts';
import { isPeerId, isRole, type Role } from '../../mesh/index.ts';

export const peerId = z.custom<PeerId>(isPeerId, 'expected a peer id');
export const role = z.custom<Role>(isRole, 'expected a role: voter, worker, submitter or observer');
/** A key or a hash. */
export const key32 = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length === 32,
  'expected 32 bytes',
);
/** Something signed or sealed. */
export const bytes = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length > 0 && value.length <= 4_096,
  'expected 1 to 4096 bytes',
);
export const ticketId = z.string().min(1).max(64);
export const wallMs = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** Of the machine. */
export const version = z.number().int().min(1);
/** Of the root key that signed what the command carries. */
export const rootNumber = z.number().int().min(0).default(0);
