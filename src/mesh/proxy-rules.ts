import { AspenError } from '../base/index.ts';

/** A proxy that lets connections through when it is asked to by CONNECT (RFC 9110, section 9.3.6). */
export interface HttpProxy {
  readonly host: string;
  readonly port: number;
  /** Whether it is spoken to over TLS itself. */
  readonly isTls: boolean;
  /** What it is shown with every request, e.g. `Basic ...`. Never to be told or written down. */
  readonly authorization?: string;
}

/** What a machine's owner and its environment say about proxies. */
export interface ProxySettings {
  /** None: everything goes directly. */
  readonly proxy: HttpProxy | undefined;
  /** Where that was said: a variable, or `proxy` in `aspen.yaml`. */
  readonly from: string | undefined;
  /** What goes directly all the same. */
  readonly direct: readonly DirectRule[];
  /** What was said and is not understood, for people. */
  readonly problem?: string;
}

/** Everything goes directly. */
export const NO_PROXY: Pick<ProxySettings, 'proxy' | 'direct'> = { proxy: undefined, direct: [] };

/** One item of `NO_PROXY`. */
export type DirectRule =
  | { readonly kind: 'all' }
  | { readonly kind: 'name'; readonly name: string; readonly port: number | undefined }
  | { readonly kind: 'network'; readonly bits: readonly boolean[]; readonly family: 4 | 6 };

/** `auto` is whatever the environment says; `off` is none. */
export const PROXY_AUTO = 'auto';
export const PROXY_OFF = 'off';
/** As `curl` and most others read them; `HTTP_PROXY` is for web pages without TLS and not for us. */
const VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'] as const;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };
const DIRECT_RULES_LIMIT = 256;

/**
 * @param setting what the owner wrote: {@link PROXY_AUTO}, {@link PROXY_OFF}, or a URL.
 * @throws AspenError INVALID_PARAMS for a setting that is no proxy. What the environment says and is not understood is a `problem`, since it was
 * written for other programs.
 */
export function proxySettingsOf(
  setting: string,
  environment: Readonly<Record<string, string | undefined>>,
): ProxySettings {
  const direct = parseNoProxy(environment['NO_PROXY'] ?? environment['no_proxy'] ?? '');
  if (setting === PROXY_OFF) return { proxy: undefined, from: undefined, direct };
  if (setting !== PROXY_AUTO) return { proxy: parseProxy(setting), from: 'proxy in the settings', direct };
  const from = VARIABLES.find((name) => (environment[name] ?? '') !== '');
  if (from === undefined) return { proxy: undefined, from, direct };
  try {
    return { proxy: parseProxy(environment[from] as string), from, direct };
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    return { proxy: undefined, from, direct, problem: `${from}: ${error.message}` };
  }
}

/** @param text `http://user:password@host:port`; without a scheme it is http. @throws AspenError INVALID_PARAMS that repeats nothing of it. */
export function parseProxy(text: string): HttpProxy {
  const trimmed = text.trim();
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`);
  const defaultPort = url === null ? undefined : DEFAULT_PORTS[url.protocol];
  if (url === null || url.hostname === '' || defaultPort === undefined) {
    const what =
      url === null || url.hostname === '' ? 'no URL' : `of a kind (${url.protocol}) that is not spoken here`;
    throw new AspenError(
      'INVALID_PARAMS',
      `the proxy is ${what}; write http://host:port or https://host:port`,
    );
  }
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? defaultPort : Number(url.port),
    isTls: url.protocol === 'https:',
    ...(url.username !== '' && { authorization: basic(url.username, url.password) }),
  };
}

/** @returns the proxy for people and logs: without what it is shown. */
export function proxyText({ host, port, isTls }: HttpProxy): string {
  return `${isTls ? 'https' : 'http'}://${authorityOf(host, port)}`;
}

/** @returns e.g. `[2001:db8::1]:443`. */
export function authorityOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** @returns the proxy over which a place is reached; undefined where it is reached directly: this machine itself always is. */
export function proxyFor(
  { proxy, direct }: Pick<ProxySettings, 'proxy' | 'direct'>,
  { host, port }: { readonly host: string; readonly port: number },
): HttpProxy | undefined {
  if (proxy === undefined || isThisMachine(host)) return undefined;
  return direct.some((rule) => covers(rule, host.toLowerCase(), port)) ? undefined : proxy;
}

/** @param text items parted by commas or blanks: `*`, a name that covers its subdomains too, with a port or without, an address, or a network. */
export function parseNoProxy(text: string): readonly DirectRule[] {
  return text
    .split(/[\s,]+/)
    .filter((item) => item !== '')
    .slice(0, DIRECT_RULES_LIMIT)
    .map(ruleOf);
}

function ruleOf(item: string): DirectRule {
  if (item === '*') return { kind: 'all' };
  const [, network = '', length] =
    /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(item.replace(/^\[(.*)\]$/, '$1')) ?? [];
  const bits = bitsOf(network);
  if (bits !== undefined) {
    const family = bits.length === 32 ? 4 : 6;
    return {
      kind: 'network',
      family,
      bits: bits.slice(0, length === undefined ? bits.length : Number(length)),
    };
  }
  const [, name = '', port] = /^(.*?)(?::(\d{1,5}))?$/.exec(item) ?? [];
  const plain = name.toLowerCase().replace(/^\*?\./, '');
  return { kind: 'name', name: plain, port: port === undefined ? undefined : Number(port) };
}

function covers(rule: DirectRule, host: string, port: number): boolean {
  if (rule.kind === 'all') return true;
  if (rule.kind === 'name') {
    const isNamed = rule.name !== '' && (host === rule.name || host.endsWith(`.${rule.name}`));
    return isNamed && (rule.port === undefined || rule.port === port);
  }
  const bits = bitsOf(host);
  return bits?.length === (rule.family === 4 ? 32 : 128) && rule.bits.every((bit, at) => bits[at] === bit);
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** @returns the 32 or 128 bits of an IP address; undefined for anything else. */
function bitsOf(host: string): readonly boolean[] | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)?.slice(1).map(Number);
  if (four !== undefined) return four.every((part) => part < 256) ? bitsOfNumbers(four, 8) : undefined;
  const groups = host.includes(':') ? groupsOf(host) : undefined;
  return groups && bitsOfNumbers(groups, 16);
}

function groupsOf(host: string): number[] | undefined {
  const [left = '', right, ...others] = host.split('::');
  const read = (text: string) => (text === '' ? [] : text.split(':'));
  const [head, tail] = [read(left), read(right ?? '')];
  const missing = 8 - head.length - tail.length;
  if (others.length > 0 || (right === undefined ? missing !== 0 : missing < 1)) return undefined;
  const groups = [...head, ...Array<string>(right === undefined ? 0 : missing).fill('0'), ...tail];
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))
    ? groups.map((group) => Number.parseInt(group, 16))
    : undefined;
}

function bitsOfNumbers(numbers: readonly number[], width: number): readonly boolean[] {
  return numbers.flatMap((value) =>
    Array.from({ length: width }, (_, at) => ((value >>> (width - 1 - at)) & 1) === 1),
  );
}

function basic(username: string, password: string): string {
  const pair = `${unescaped(username)}:${unescaped(password)}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text; // a lone %: it means itself
    throw error;
  }
}
