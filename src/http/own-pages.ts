import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { Request, RequestHandler } from 'express';
import { fieldError } from '../errors.js';

/** Names that no public name server answers for (RFC 6761, 6762, 8375; ICANN reserved internal). */
const privateName = /^[^.]+$|\.(localhost|local|internal|home\.arpa)$/;

const changes = (req: Request) => !['GET', 'HEAD', 'OPTIONS'].includes(req.method);

/**
 * Refuses requests that a browser sends for a page of somebody else: forms that post to this
 * address from another site, and pages whose name was pointed at this address (DNS rebinding).
 * Only browsers send `Origin` or `Sec-Fetch-Site`, and pages cannot leave them out; requests
 * without both pass.
 * @param allowedHosts names at which users reach this API; `*.example.com` stands for all below it,
 *   `*` for every name
 */
export function refuseForeignPages(allowedHosts: readonly string[]): RequestHandler {
  const isNamed = (name: string) => allowedHosts.some((pattern) => matches(pattern, name));
  return (req, _res, next) => {
    const origin = req.get('origin');
    const site = req.get('sec-fetch-site');
    // Programs with other schemes, such as a browser's extensions, are no pages.
    const isPage = origin === undefined ? site !== undefined : /^(https?:|null$)/.test(origin);
    if (!isPage) return next();
    const name = nameOf(req.hostname ?? '');
    // A page at another name would need a certificate of this one.
    if (!req.secure && !isOwnName(name) && !isNamed(name))
      throw fieldError(
        'forbidden',
        'Host',
        `this API does not answer browsers as ${name.slice(0, 100)}; if it is yours, name it in JR_ALLOWED_HOSTS`,
      );
    const from = origin === undefined ? undefined : hostOf(origin);
    const isOwnPage =
      origin === undefined
        ? !changes(req) || site === 'same-origin' || site === 'none'
        : from !== undefined && (from.host === req.host?.toLowerCase() || isNamed(from.hostname));
    if (!isOwnPage)
      throw fieldError(
        'forbidden',
        'Origin',
        `this API takes no calls from pages of ${(origin ?? 'another site').slice(0, 100)}; if the page is this API’s own, name its host in JR_ALLOWED_HOSTS`,
      );
    next();
  };
}

/** Tells whether a name can belong to this machine or its network alone. */
function isOwnName(name: string): boolean {
  return isIP(name) !== 0 || privateName.test(name) || name === hostname().toLowerCase();
}

function matches(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern;
}

/** Cleans a host name: lower case, no brackets of IPv6, no dot of the root at its end. */
function nameOf(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

/** Reads the host of an origin. Its default port is left out, as in `Host`. */
function hostOf(origin: string): { host: string; hostname: string } | undefined {
  if (!URL.canParse(origin)) return undefined;
  const { host, hostname } = new URL(origin);
  return { host, hostname: nameOf(hostname) };
}
