import { AspenError } from '../base/index.ts';
import { type Mesh, RevokedError, type Ticket } from '../mesh/index.ts';

/**
 * Whether the mesh that a ticket is of, and this node already, still knows this node. While nobody is linked the ticket's members are asked; the
 * first that is reached has the word, and where none is, this node stays what it is.
 * @throws AspenError DENIED when this node was revoked.
 */
export async function refuseIfRevoked(
  { admission, transport }: Pick<Mesh, 'admission' | 'transport'>,
  { members }: Pick<Ticket, 'members'>,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const others = members.filter(({ peerId }) => peerId !== transport.self);
  if (transport.links().length === 0 && others.length > 0) {
    const over = new AbortController();
    const until = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    const answered = new AspenError('UNAVAILABLE', 'another member has answered', { outcome: 'not-applied' });
    await Promise.all(
      others.map(async (member) => {
        try {
          await admission.introduce(member, { signal: until });
        } catch (error) {
          if (!(error instanceof AspenError)) throw error;
          if (!(error instanceof RevokedError)) return; // it is not reached, or says nothing of us: another may
        }
        over.abort(answered);
      }),
    );
    signal?.throwIfAborted();
  }
  admission.own.throwIfRevoked();
}
