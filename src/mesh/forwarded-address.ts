/** Whom a web server before this node speaks for. */
const IP4 = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const IP6 = /^[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}$/i;
const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|::1|::ffff:127(?:\.\d{1,3}){3})$/i;
/** More than this is a list that somebody has made up. Unit: characters. */
const HEADER_LIMIT = 1_024;

/**
 * @param remote where the connection itself comes from. @param header `X-Forwarded-For` as it came.
 * @returns the IP address that the nearest web server says it speaks for, the last one of the list; undefined for what does not come from this
 * machine, and for what is no address.
 */
export function forwardedHost(
  remote: string,
  header: string | readonly string[] | undefined,
): string | undefined {
  const text = typeof header === 'string' ? header : header?.at(-1);
  if (text === undefined || text.length > HEADER_LIMIT || !LOOPBACK.test(remote)) return undefined;
  const last = (text.split(',').at(-1) ?? '').trim().replace(/^\[(.*)\]$/, '$1');
  if (IP4.test(last)) return last.split('.').every((part) => Number(part) < 256) ? last : undefined;
  return IP6.test(last) ? last : undefined;
}
