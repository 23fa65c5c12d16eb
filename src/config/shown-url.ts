import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { localUrl, type Config } from './config.js';

/** What a machine knows of its own addresses. */
export interface OwnAddresses {
  /** By interface, without loopback. */
  external: Partial<Record<string, { address: string; family: string }[]>>;
  /** Interface of the default route; undefined without one. */
  defaultInterface: string | undefined;
  /** In a container, others reach the port that its host publishes. */
  isContainer: boolean;
}

/** Names the address at which others reach the API, for people, and the one on this machine. */
export function shownUrl(
  config: Pick<Config, 'host' | 'port'> & { ingest: Pick<Config['ingest'], 'publicUrl'> },
  addresses: OwnAddresses = ownAddresses(),
): string {
  const { host, port, ingest } = config;
  const isAnywhere = host === '0.0.0.0' || host === '::';
  const here = isAnywhere ? `http://localhost:${port}` : localUrl(config);
  const isLocal = /^(127\.|::1$|localhost$)/.test(host);
  const outside =
    ingest.publicUrl ??
    (isAnywhere && !addresses.isContainer ? urlOutside(host, port, addresses) : undefined);
  if (outside !== undefined) return `${outside}   (on this machine: ${here})`;
  if (isLocal) return `${here}   (on this machine only: JR_HOST=${host})`;
  if (isAnywhere && addresses.isContainer)
    return `${here}   (outside this container: the port that its host publishes)`;
  return here;
}

function urlOutside(host: string, port: number, addresses: OwnAddresses): string | undefined {
  const { external, defaultInterface } = addresses;
  const first = external[defaultInterface ?? ''] ?? [];
  const all = [...first, ...Object.values(external).flatMap((each) => each ?? [])];
  const four = all.find(({ family }) => family === 'IPv4');
  if (four !== undefined) return localUrl({ host: four.address, port });
  // A link-local address leads nowhere without the name of an interface.
  const six = all.find(({ address, family }) => family === 'IPv6' && !/^fe80:/i.test(address));
  return host === '::' && six !== undefined ? localUrl({ host: six.address, port }) : undefined;
}

function ownAddresses(): OwnAddresses {
  const external = Object.fromEntries(
    Object.entries(networkInterfaces()).map(([name, addresses = []]) => [
      name,
      addresses.filter(({ internal }) => !internal),
    ]),
  );
  const routes = '/proc/net/route';
  const table = existsSync(routes) ? readFileSync(routes, 'utf8') : '';
  // Interface, destination, gateway and flags; the default route's destination is 0 (proc_net(5)).
  const defaultInterface = /^(\S+)\s+00000000\s/m.exec(table)?.[1];
  // Docker's and Podman's marks.
  const isContainer = existsSync('/.dockerenv') || existsSync('/run/.containerenv');
  return { external, defaultInterface, isContainer };
}
