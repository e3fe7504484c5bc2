import { OsCrypto } from '../base/os-crypto.ts';
import { decodeTicket } from '../mesh/index.ts';

/**
 * Says of a text that is no ticket that it is none, before an agent is started for it.
 * @throws AspenError INVALID_PARAMS when the text is not a ticket or was damaged, DENIED when no mesh has signed it.
 */
export function checkTicket(text: string): void {
  decodeTicket(new OsCrypto(), text);
}
