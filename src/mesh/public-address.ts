/** @returns whether a multiaddr names a place that can be reached from anywhere, as far as the address itself tells. */
export function isPublicAddress(address: string): boolean {
  const [, kind, host = ''] = address.split('/');
  if (kind === 'dns' || kind === 'dns4' || kind === 'dns6' || kind === 'dnsaddr')
    return host.includes('.') && !host.endsWith('.local');
  if (kind === 'ip4') return isPublicIpv4(host.split('.').map(Number));
  return kind === 'ip6' && /^[23]/.test(host) && !/^2001:0?db8:/i.test(host);
}

function isPublicIpv4([first = 0, second = 0, third = 0]: readonly number[]): boolean {
  if (first === 0 || first === 10 || first === 127 || first >= 224) return false;
  if (first === 100 && second >= 64 && second < 128) return false; // shared by a provider's customers
  if (first === 169 && second === 254) return false;
  if (first === 172 && second >= 16 && second < 32) return false;
  if (first === 192 && second === 168) return false;
  if (first === 192 && second === 0 && third === 2) return false;
  if (first === 198 && (second === 18 || second === 19)) return false;
  return true;
}
