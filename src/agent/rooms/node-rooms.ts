import type { MeshNode } from '../mesh-node.ts';

/**
 * The parts of a node by name. They come into being one after the other, in the order in which they stand in {@link MeshNode}: what is called later may
 * use all of them, what runs while a part is made only those before it.
 */
export type NodeRooms = Readonly<
  Pick<
    MeshNode,
    | 'self'
    | 'platform'
    | 'power'
    | 'gate'
    | 'acquaintances'
    | 'mesh'
    | 'registry'
    | 'group'
    | 'members'
    | 'blobs'
    | 'payloads'
    | 'outputs'
    | 'labels'
    | 'drain'
    | 'worker'
  >
>;
