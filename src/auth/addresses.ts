import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * Finds the network whose attempts are counted together: an IPv6 user has 2^64 addresses (RFC
 * 6177).
 */
export function networkOf(address: string): string {
  const plain = withoutMapping(address);
  return isIPv6(plain) ? groupsOf(plain).slice(0, 4).join(':') : plain;
}

/** Tells whether the address belongs to this machine, so that its sender runs here. */
export function isOwnAddress(address: string): boolean {
  const plain = withoutMapping(address);
  if (plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'))) return true;
  return Object.values(networkInterfaces()).some((all) =>
    all?.some((own) => own.address === plain),
  );
}

/**
 * Returns an address as the kernel prints it for IPv4 sockets and for IPv6 sockets (proc(5)), on
 * machines that store the low byte first; `undefined` where such a socket cannot have it.
 */
export function kernelForms(address: string): { v4: string | undefined; v6: string } {
  const plain = withoutMapping(address);
  const bytes = isIPv4(plain)
    ? plain.split('.').map(Number)
    : groupsOf(plain).flatMap((group) => {
        const value = Number.parseInt(group, 16);
        return [value >> 8, value & 0xff];
      });
  const words = Array.from({ length: bytes.length / 4 }, (_, i) =>
    bytes
      .slice(4 * i, 4 * i + 4)
      .toReversed()
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
      .toUpperCase(),
  ).join('');
  return isIPv4(plain)
    ? { v4: words, v6: `0000000000000000FFFF0000${words}` }
    : { v4: undefined, v6: words };
}

/** Returns the IPv4 address inside an IPv6 one (RFC 4291, 2.5.5.2), and no zone (RFC 4007, 11). */
function withoutMapping(address: string): string {
  return address.replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/, '');
}

/** Splits an IPv6 address into its eight groups. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...(tail === undefined ? [] : middle), ...back];
}
