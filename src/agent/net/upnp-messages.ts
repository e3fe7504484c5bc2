/**
 * What is said to a router that opens ports by UPnP (Internet Gateway Device 1 and 2): found by a datagram to itself (SSDP), described by a
 * document, asked by SOAP. Whatever it says, nothing but the router is asked.
 */

export const SSDP_PORT = 1_900;
/** Of a description, or of an answer. */
export const UPNP_BYTES_LIMIT = 128 * 2 ** 10;
const URL_CHARACTERS_LIMIT = 512;
const DEVICE = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1';
const SERVICE = /^urn:schemas-upnp-org:service:WAN(?:IP|PPP)Connection:[12]$/;

/** Where ports are asked for, and by which name. */
export interface ControlPoint {
  readonly url: string;
  readonly service: string;
}

export function searchRequest(gateway: string): Uint8Array {
  const lines = [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${gateway}:${SSDP_PORT}`,
    'MAN: "ssdp:discover"',
    'MX: 1',
    `ST: ${DEVICE}`,
    '',
    '',
  ];
  return new TextEncoder().encode(lines.join('\r\n'));
}

/** @param bytes foreign. @returns where the router describes itself; undefined when that is anywhere else than at the router. */
export function readSearchAnswer(bytes: Uint8Array, gateway: string): string | undefined {
  const [status = '', ...headers] = new TextDecoder().decode(bytes.subarray(0, 4_096)).split(/\r?\n/);
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return undefined;
  const location = headers.find((line) => /^location\s*:/i.test(line));
  return location === undefined
    ? undefined
    : atGateway(location.slice(location.indexOf(':') + 1).trim(), gateway);
}

/** @param document foreign. @param from where it was read. @returns undefined when it offers no ports. */
export function readDescription(document: string, from: string, gateway: string): ControlPoint | undefined {
  for (const block of document
    .slice(0, UPNP_BYTES_LIMIT)
    .split(/<service>/i)
    .slice(1)) {
    const service = elementOf(block, 'serviceType');
    const path = elementOf(block, 'controlURL');
    if (service === undefined || path === undefined || !SERVICE.test(service)) continue;
    const url = atGateway(path, gateway, from);
    if (url !== undefined) return { url, service };
  }
  return undefined;
}

/** @param args names and values that need no escaping. */
export function soapRequest(
  service: string,
  action: string,
  args: Readonly<Record<string, string | number>>,
): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  const values = Object.entries(args).map(([name, value]) => `<${name}>${value}</${name}>`);
  const body =
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action} xmlns:u="${service}">${values.join('')}</u:${action}></s:Body></s:Envelope>`;
  return {
    headers: { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${service}#${action}"` },
    body,
  };
}

/** @returns the text of the first such element, whatever its prefix; undefined when there is none. */
export function elementOf(document: string, name: string): string | undefined {
  const found = new RegExp(`<(?:[\\w-]{1,32}:)?${name}(?:\\s[^>]{0,512})?>([^<]{0,512})<`, 'i').exec(
    document,
  )?.[1];
  return found?.trim();
}

/** @returns what the router says is wrong, e.g. 718 when another machine has the port; undefined when it names nothing. */
export function soapErrorOf(document: string): number | undefined {
  const code = Number(elementOf(document, 'errorCode') ?? Number.NaN);
  return Number.isInteger(code) ? code : undefined;
}

function atGateway(text: string, gateway: string, base?: string): string | undefined {
  if (text.length > URL_CHARACTERS_LIMIT || !URL.canParse(text, base)) return undefined;
  const url = new URL(text, base);
  const isIt = url.protocol === 'http:' && url.hostname === gateway && url.username === '';
  return isIt ? url.href : undefined;
}
